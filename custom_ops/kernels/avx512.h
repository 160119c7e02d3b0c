// SPDX-License-Identifier: Apache-2.0
// Pieces that AVX-512 kernels share.
#pragma once

#include "uniform_layout.h"

#include <cstring>
#include <immintrin.h>

namespace edgeq::kernels {

EDGEQ_INLINE __m512i load_line(const std::uint8_t* line) { return _mm512_loadu_si512(line); }

/// Four bytes to every lane.
EDGEQ_INLINE __m512i broadcast4(const void* bytes) {
  std::int32_t lane = 0;
  std::memcpy(&lane, bytes, sizeof lane);
  return _mm512_set1_epi32(lane);
}

EDGEQ_INLINE __m512 load_halfs(const std::uint8_t* halfs) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halfs)));
}

EDGEQ_INLINE __m512i load_bytes_as_int32(const std::uint8_t* bytes) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

/// Fourth line of a 3-bit chunk, from the upper bits of the three stored lines: (A>>6) | (B>>6)<<2 | (C>>6)<<4.
EDGEQ_INLINE __m512i derived_line(const std::uint8_t* lines) {
  constexpr int kSelect = 0xca; // where the mask is set the second operand, else the third
  const __m512i a = _mm512_srli_epi16(load_line(lines), 6), b = _mm512_srli_epi16(load_line(lines + 64), 4);
  const __m512i c = _mm512_srli_epi16(load_line(lines + 128), 2);
  const __m512i bc = _mm512_ternarylogic_epi32(_mm512_set1_epi8(0x0c), b, c, kSelect);
  return _mm512_ternarylogic_epi32(_mm512_set1_epi8(0x03), a, bc, kSelect);
}

} // namespace edgeq::kernels
