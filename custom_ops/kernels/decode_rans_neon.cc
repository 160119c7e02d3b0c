// SPDX-License-Identifier: Apache-2.0
#include "decompress_driver.h"
#include "neon.h"

namespace edgeq::kernels {
namespace {

/// For each set of four states that take a word: the bytes of the next words that each takes; 255: none.
struct WordBytes {
  std::uint8_t of[16][16];
  std::uint8_t count[16]; // bytes
  constexpr WordBytes() : of{}, count{} {
    for (int set = 0; set < 16; ++set)
      for (int lane = 0; lane < 4; ++lane) {
        const bool takes = (set >> lane & 1) != 0;
        for (int byte = 0; byte < 4; ++byte)
          of[set][4 * lane + byte] = static_cast<std::uint8_t>(takes && byte < 2 ? count[set] + byte : 255);
        count[set] = static_cast<std::uint8_t>(count[set] + (takes ? 2 : 0));
      }
  }
};
constexpr WordBytes kWords;

/// Four registers hold the states of a block.
template <int Blocks> class States {
  static constexpr int kRegisters = static_cast<int>(kRansLanes / 4);

public:
  EDGEQ_MEMBER explicit States(const CodedBlock* blocks) : block_(*blocks), next_(blocks->stream + kRansStateBytes) {
    for (int i = 0; i < kRegisters; ++i)
      x_[i] = vreinterpretq_u32_u8(vld1q_u8(block_.stream + 16 * i));
  }

  EDGEQ_MEMBER void step(const std::uint32_t* table, std::size_t offset) {
    uint16x4_t symbols[kRegisters];
    EDGEQ_UNROLL for (int i = 0; i < kRegisters; ++i) {
      const uint32x4_t entry = entries(table, vandq_u32(x_[i], vdupq_n_u32(kRansSlots - 1)));
      symbols[i] = vmovn_u32(entry);
      const uint32x4_t difference = vandq_u32(vshrq_n_u32(entry, 8), vdupq_n_u32(kRansSlots - 1));
      take_words(i, vmlaq_u32(difference, vshrq_n_u32(entry, 20), vshrq_n_u32(x_[i], kRansScaleBits)));
    }
    vst1_u8(block_.tiles + offset, vmovn_u16(vcombine_u16(symbols[0], symbols[1])));
    vst1_u8(block_.tiles + offset + 8, vmovn_u16(vcombine_u16(symbols[2], symbols[3])));
  }

  EDGEQ_MEMBER bool finished() const {
    bool finished = next_ == block_.end;
    for (int i = 0; i < kRegisters; ++i)
      finished &= vminvq_u32(vceqq_u32(x_[i], vdupq_n_u32(kRansLeastState))) != 0;
    return finished;
  }

private:
  EDGEQ_MEMBER static uint32x4_t entries(const std::uint32_t* table, uint32x4_t slots) {
    const std::uint64_t low = vgetq_lane_u64(vreinterpretq_u64_u32(slots), 0);
    const std::uint64_t high = vgetq_lane_u64(vreinterpretq_u64_u32(slots), 1);
    uint32x4_t entry = vdupq_n_u32(table[low & 0xffffffffU]);
    entry = vld1q_lane_u32(table + (low >> 32), entry, 1);
    entry = vld1q_lane_u32(table + (high & 0xffffffffU), entry, 2);
    return vld1q_lane_u32(table + (high >> 32), entry, 3);
  }

  EDGEQ_MEMBER void take_words(int i, uint32x4_t x) {
    constexpr std::uint32_t kBits[4] = {1, 2, 4, 8};
    const uint32x4_t low = vcltq_u32(x, vdupq_n_u32(kRansLeastState));
    const std::uint32_t set = vaddvq_u32(vandq_u32(low, vld1q_u32(kBits)));
    const uint8x16_t words = vqtbl1q_u8(vcombine_u8(vld1_u8(next_), vdup_n_u8(0)), vld1q_u8(kWords.of[set]));
    x_[i] = vbslq_u32(low, vorrq_u32(vshlq_n_u32(x, 16), vreinterpretq_u32_u8(words)), x);
    next_ = advanced(next_, kWords.count[set], limit(block_));
  }

  const CodedBlock& block_;
  const std::uint8_t* next_;
  uint32x4_t x_[kRegisters];
};

} // namespace

bool decode_rans_neon(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                      std::size_t tiles) {
  bool good = true;
  for (std::size_t b = 0; b < count; ++b)
    good &= decode_rans_blocks<States, 1>(layout, table, blocks + b, tiles);
  return good;
}

} // namespace edgeq::kernels
