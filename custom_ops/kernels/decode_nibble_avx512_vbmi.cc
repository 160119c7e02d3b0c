// SPDX-License-Identifier: Apache-2.0
#include "avx512.h"
#include "decompress_driver.h"

namespace edgeq::kernels {
namespace {

struct Line {
  __m512i table;

  EDGEQ_MEMBER explicit Line(const std::uint8_t* codes)
      : table(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)))) {}

  EDGEQ_MEMBER std::size_t decode(const std::uint8_t* nibbles, const std::uint8_t* escapes, std::uint8_t* out) const {
    const __m512i both = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(nibbles)));
    const __m512i shifts = _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0);
    const __m512i nibble = _mm512_and_si512(_mm512_srlv_epi64(both, shifts), _mm512_set1_epi8(15));
    const __mmask64 escaped = _mm512_cmpeq_epi8_mask(nibble, _mm512_set1_epi8(kNibbleEscape));
    const __m512i codes = _mm512_shuffle_epi8(table, nibble);
    _mm512_storeu_si512(out, _mm512_mask_expand_epi8(codes, escaped, load_line(escapes)));
    return static_cast<std::size_t>(__builtin_popcountll(escaped));
  }
};

} // namespace

bool decode_nibble_avx512_vbmi(const UniformLayout& layout, const void* table, const CodedBlock* blocks,
                               std::size_t count, std::size_t tiles) {
  bool good = true;
  for (std::size_t b = 0; b < count; ++b)
    good &= decode_nibble_block<Line>(layout, table, blocks[b], tiles);
  return good;
}

} // namespace edgeq::kernels
