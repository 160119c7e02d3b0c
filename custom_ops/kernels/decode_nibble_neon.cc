// SPDX-License-Identifier: Apache-2.0
#include "decompress_driver.h"
#include "neon.h"

namespace edgeq::kernels {
namespace {

struct Line {
  uint8x16_t table;

  EDGEQ_MEMBER explicit Line(const std::uint8_t* codes) : table(vld1q_u8(codes)) {}

  EDGEQ_MEMBER std::size_t decode(const std::uint8_t* nibbles, const std::uint8_t* escapes, std::uint8_t* out) const {
    const uint8x16_t first = vld1q_u8(nibbles), second = vld1q_u8(nibbles + 16), mask = vdupq_n_u8(15);
    std::size_t count = quarter(vandq_u8(first, mask), escapes, out);
    count += quarter(vandq_u8(second, mask), escapes + count, out + 16);
    count += quarter(vshrq_n_u8(first, 4), escapes + count, out + 32);
    return count + quarter(vshrq_n_u8(second, 4), escapes + count, out + 48);
  }

private:
  /// 16 codes. The first escaped one is put into its place without a branch: where there is none, the byte behind the
  /// 16 is written; what belongs there, codes or a trailer, comes later.
  EDGEQ_MEMBER std::size_t quarter(uint8x16_t nibbles, const std::uint8_t* escapes, std::uint8_t* out) const {
    vst1q_u8(out, vqtbl1q_u8(table, nibbles));
    const uint8x16_t escaped = vceqq_u8(nibbles, vdupq_n_u8(kNibbleEscape));
    // Four bits for each place.
    const uint8x8_t narrow = vshrn_n_u16(vreinterpretq_u16_u8(escaped), 4);
    std::uint64_t places = vget_lane_u64(vreinterpret_u64_u8(narrow), 0) & 0x1111111111111111U;
    out[places == 0 ? 16 : __builtin_ctzll(places) / 4] = escapes[0];
    std::size_t count = places == 0 ? 0 : 1;
    for (places &= places - 1; count > 0 && places != 0; places &= places - 1)
      out[__builtin_ctzll(places) / 4] = escapes[count++];
    return count;
  }
};

} // namespace

bool decode_nibble_neon(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                        std::size_t tiles) {
  return decode_nibble_blocks<Line>(layout, table, blocks, count, tiles);
}

} // namespace edgeq::kernels
