// SPDX-License-Identifier: Apache-2.0
// A line of codec "nibble" in a register (docs/formats.md, compressed), with VBMI2.
#pragma once

#include "avx512.h"
#include "decompress.h"

namespace edgeq::kernels {
namespace {

struct NibbleLine512 {
  __m512i table;

  EDGEQ_MEMBER explicit NibbleLine512(const std::uint8_t* codes)
      : table(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)))) {}

  /// 64 codes; `count` is how many of them are escaped.
  EDGEQ_MEMBER __m512i decode(const std::uint8_t* nibbles, const std::uint8_t* escapes, std::size_t& count) const {
    const __m512i both = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(nibbles)));
    const __m512i shifts = _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0);
    const __m512i nibble = _mm512_and_si512(_mm512_srlv_epi64(both, shifts), _mm512_set1_epi8(15));
    const __mmask64 escaped = _mm512_cmpeq_epi8_mask(nibble, _mm512_set1_epi8(kNibbleEscape));
    count = static_cast<std::size_t>(__builtin_popcountll(escaped));
    return _mm512_mask_expand_epi8(_mm512_shuffle_epi8(table, nibble), escaped, load_line(escapes));
  }
};

} // namespace
} // namespace edgeq::kernels
