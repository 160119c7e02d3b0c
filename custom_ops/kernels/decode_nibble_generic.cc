// SPDX-License-Identifier: Apache-2.0
#include "decompress_driver.h"

namespace edgeq::kernels {
namespace {

struct Line {
  const std::uint8_t* table;

  explicit Line(const std::uint8_t* codes) : table(codes) {}

  EDGEQ_MEMBER std::size_t decode(const std::uint8_t* nibbles, const std::uint8_t* escapes, std::uint8_t* out) const {
    std::size_t escaped = 0;
    for (std::size_t i = 0; i < kNibbleLine; ++i) {
      const unsigned nibble = nibbles[i % 32] >> (i < 32 ? 0 : 4) & 15;
      out[i] = nibble == kNibbleEscape ? escapes[escaped] : table[nibble];
      escaped += nibble == kNibbleEscape ? 1 : 0;
    }
    return escaped;
  }
};

} // namespace

bool decode_nibble_generic(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                           std::size_t tiles) {
  return decode_nibble_blocks<Line>(layout, table, blocks, count, tiles);
}

} // namespace edgeq::kernels
