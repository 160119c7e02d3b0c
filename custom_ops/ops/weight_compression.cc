// SPDX-License-Identifier: Apache-2.0
#include "weight_compression.h"

#include <map>
#include <mutex>
#include <sys/mman.h>

namespace edgeq::ops {
namespace {

/// Decoded weights by the address of the compressed ones, which live as long as the session that decoded them.
class Decoded {
public:
  /// The memory of the same weight, if an operator has it; else empty.
  HugeBuffer find(const std::uint8_t* data, std::uint32_t checksum, std::size_t bytes) const {
    const auto found = entries_.find(data);
    if (found == entries_.end() || found->second.checksum != checksum || found->second.bytes != bytes)
      return {};
    return found->second.memory.lock();
  }
  void add(const std::uint8_t* data, std::uint32_t checksum, std::size_t bytes, const HugeBuffer& memory) {
    for (auto entry = entries_.begin(); entry != entries_.end();) // those that nobody has any more
      entry = entry->second.memory.lock().data() == nullptr ? entries_.erase(entry) : std::next(entry);
    entries_[data] = {checksum, bytes, WeakHugeBuffer(memory)};
  }

private:
  struct Entry {
    std::uint32_t checksum;
    std::size_t bytes;
    WeakHugeBuffer memory;
  };
  std::map<const std::uint8_t*, Entry> entries_;
};

/// Lets the system drop the whole pages of a weight that is not read again; file-backed ones can be read anew.
void give_up_pages(const std::uint8_t* data, std::size_t bytes) {
#if defined(MADV_PAGEOUT)
  constexpr std::uintptr_t kPage = 4096;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t first = (address + kPage - 1) / kPage * kPage, last = (address + bytes) / kPage * kPage;
  if (first < last)
    madvise(reinterpret_cast<void*>(first), last - first, MADV_PAGEOUT); // a hint: where it fails they stay
#else
  (void)data, (void)bytes;
#endif
}

/// Runs `body`; errors name the input.
template <class Body> auto naming(const std::string& name, const Body& body) {
  try {
    return body();
  } catch (const std::invalid_argument& error) {
    throw ort::Error("input " + name + ": " + error.what());
  }
}

} // namespace

WeightCompression read_weight_compression(const ort::KernelInfo& info, const kernels::UniformLayout& layout) {
  const std::string value = info.string_or("weight_compression", "");
  if (value.empty())
    return WeightCompression::none;
  if (value != "load" && value != "use")
    throw ort::Error("attribute weight_compression: found '" + value + "', wanted 'load', 'use' or ''");
  if (layout.codebook)
    refuse_weight_compression(info, "codebook");
  if (layout.bits != 4 && layout.bits != 8)
    throw ort::Error("attribute weight_compression: found '" + value + "' for " + std::to_string(layout.bits) +
                     " bits, wanted 4 or 8 bits, or ''");
  return value == "load" ? WeightCompression::load : WeightCompression::use;
}

void refuse_weight_compression(const ort::KernelInfo& info, const char* format) {
  const std::string value = info.string_or("weight_compression", "");
  if (!value.empty())
    throw ort::Error("attribute weight_compression: found '" + value + "' for format " + format +
                     ", wanted format uniform or dint, or ''");
}

kernels::CompressedWeight compressed_weight(const ort::KernelInfo& info, const kernels::UniformLayout& layout,
                                            std::size_t input, const std::string& name) {
  const Bytes bytes = constant_bytes(info, input, name);
  return naming(name, [&] {
    kernels::CompressedWeight weight(bytes.data, bytes.size, layout, kernels::selected_isa());
    weight.check_blocks();
    return weight;
  });
}

PackedWeight decoded_weight(const ort::KernelInfo& info, const kernels::UniformLayout& layout, std::size_t input,
                            const std::string& name) {
  static std::mutex mutex;
  static Decoded decoded;
  const Bytes bytes = constant_bytes(info, input, name);
  return naming(name, [&] {
    const kernels::CompressedWeight weight(bytes.data, bytes.size, layout, kernels::selected_isa());
    const std::size_t size = kernels::uniform_packed_bytes(layout);
    const std::lock_guard<std::mutex> lock(mutex);
    HugeBuffer memory = decoded.find(bytes.data, weight.checksum(), size);
    if (memory.data() == nullptr) {
      memory = HugeBuffer(size);
      weight.check_blocks(memory.data());
      give_up_pages(bytes.data, bytes.size);
      decoded.add(bytes.data, weight.checksum(), size, memory);
    }
    return PackedWeight(memory);
  });
}

} // namespace edgeq::ops
