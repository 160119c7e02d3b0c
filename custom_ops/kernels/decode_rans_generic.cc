// SPDX-License-Identifier: Apache-2.0
#include "decompress_driver.h"

namespace edgeq::kernels {
namespace {

template <int Blocks> class States {
public:
  explicit States(const CodedBlock* blocks) : block_(*blocks), next_(blocks->stream + kRansStateBytes) {
    for (std::size_t lane = 0; lane < kRansLanes; ++lane) {
      const std::uint8_t* state = block_.stream + 4 * lane;
      x_[lane] = state[0] | state[1] << 8 | state[2] << 16 | static_cast<std::uint32_t>(state[3]) << 24;
    }
  }

  EDGEQ_MEMBER void step(const std::uint32_t* table, std::size_t offset) {
    for (std::size_t lane = 0; lane < kRansLanes; ++lane) {
      const std::uint32_t entry = table[x_[lane] & (kRansSlots - 1)];
      block_.tiles[offset + lane] = static_cast<std::uint8_t>(entry);
      const std::uint32_t x = (entry >> 20) * (x_[lane] >> kRansScaleBits) + (entry >> 8 & (kRansSlots - 1));
      const std::uint32_t word = next_[0] | static_cast<std::uint32_t>(next_[1]) << 8;
      const bool low = x < kRansLeastState;
      x_[lane] = low ? x << 16 | word : x;
      next_ = advanced(next_, low ? 2 : 0, limit(block_));
    }
  }

  bool finished() const {
    bool finished = next_ == block_.end;
    for (const std::uint32_t x : x_)
      finished = finished && x == kRansLeastState;
    return finished;
  }

private:
  const CodedBlock& block_;
  const std::uint8_t* next_;
  std::uint32_t x_[kRansLanes];
};

} // namespace

bool decode_rans_generic(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                         std::size_t tiles) {
  bool good = true;
  for (std::size_t b = 0; b < count; ++b)
    good &= decode_rans_blocks<States, 1>(layout, table, blocks + b, tiles);
  return good;
}

} // namespace edgeq::kernels
