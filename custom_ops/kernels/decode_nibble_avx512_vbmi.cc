// SPDX-License-Identifier: Apache-2.0
#include "decompress_driver.h"
#include "nibble_avx512.h"

namespace edgeq::kernels {
namespace {

struct Line : NibbleLine512 {
  using NibbleLine512::NibbleLine512;

  EDGEQ_MEMBER std::size_t decode(const std::uint8_t* nibbles, const std::uint8_t* escapes, std::uint8_t* out) const {
    std::size_t count = 0;
    _mm512_storeu_si512(out, NibbleLine512::decode(nibbles, escapes, count));
    return count;
  }
};

} // namespace

bool decode_nibble_avx512_vbmi(const UniformLayout& layout, const void* table, const CodedBlock* blocks,
                               std::size_t count, std::size_t tiles) {
  return decode_nibble_blocks<Line>(layout, table, blocks, count, tiles);
}

} // namespace edgeq::kernels
