// SPDX-License-Identifier: Apache-2.0
#include "huge_buffer.h"

#include "kernels/sizes.h"

#include <algorithm>
#include <fstream>
#include <mutex>
#include <new>
#include <sys/mman.h>

namespace edgeq::ops {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20; // of x86, and of ARM with pages of 4 KiB
constexpr std::size_t kLeastRegion = 16 * kHugePage;
constexpr std::size_t kAlignment = 4096;

std::size_t round_up(std::size_t bytes, std::size_t multiple) {
  return kernels::checked_sum(bytes, multiple - 1) / multiple * multiple;
}

/// A mapping whose pages are handed out from its start on.
class Region {
public:
  explicit Region(std::size_t bytes) : mapped_(kernels::checked_sum(bytes, kHugePage)) {
    mapping_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED)
      throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
    start_ = static_cast<std::uint8_t*>(mapping_) + (kHugePage - address % kHugePage) % kHugePage;
    left_ = bytes;
    madvise(start_, bytes, MADV_HUGEPAGE); // where it fails, pages are small
  }
  ~Region() { munmap(mapping_, mapped_); }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  /// The next `bytes`, a multiple of kAlignment; null when they are not left.
  std::uint8_t* take(std::size_t bytes) {
    if (bytes > left_)
      return nullptr;
    std::uint8_t* taken = start_;
    start_ += bytes;
    left_ -= bytes;
    return taken;
  }

private:
  std::size_t mapped_;
  void* mapping_;
  std::uint8_t* start_;
  std::size_t left_;
};

} // namespace

HugeBuffer::HugeBuffer(std::size_t bytes) {
  static std::mutex mutex;
  static std::weak_ptr<Region> newest; // buffers keep it alive
  const std::size_t size = round_up(std::max(bytes, std::size_t{1}), kAlignment);
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<Region> region = newest.lock();
  if (region != nullptr)
    data_ = region->take(size);
  if (data_ == nullptr) {
    region = std::make_shared<Region>(std::max(round_up(size, kHugePage), kLeastRegion));
    data_ = region->take(size);
    newest = region;
  }
  region_ = std::move(region);
}

std::string huge_pages_obstacle() {
  const char* path = "/sys/kernel/mm/transparent_hugepage/enabled";
  std::ifstream file(path);
  std::string choice;
  if (!std::getline(file, choice))
    return std::string("this system has no ") + path;
  if (choice.find("[never]") != std::string::npos)
    return std::string(path) + " is never: as root, echo madvise > " + path;
  return "";
}

} // namespace edgeq::ops
