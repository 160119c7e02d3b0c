// SPDX-License-Identifier: Apache-2.0
// Pieces that AVX2 kernels share. A 64-byte line is two halves of eight rows.
#pragma once

#include "uniform_layout.h"

#include <cstring>
#include <immintrin.h>

namespace edgeq::kernels {

EDGEQ_INLINE __m256i load_half_line(const std::uint8_t* line) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line));
}

/// Four bytes to every lane.
EDGEQ_INLINE __m256i broadcast4_avx2(const void* bytes) {
  std::int32_t lane = 0;
  std::memcpy(&lane, bytes, sizeof lane);
  return _mm256_set1_epi32(lane);
}

EDGEQ_INLINE __m256 load_8_halfs(const std::uint8_t* halfs) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halfs)));
}

EDGEQ_INLINE __m256i load_8_bytes_as_int32(const std::uint8_t* bytes) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
}

/// The line of a chunk that holds field `f`, from half `line` of its first line, and the field's lowest bit in it.
/// The fourth line of a 3-bit chunk is made of the upper bits of the others: (A>>6) | (B>>6)<<2 | (C>>6)<<4.
template <int Bits> EDGEQ_INLINE __m256i field_line(const std::uint8_t* line, int f) {
  if (Bits != 3)
    return load_half_line(line);
  if (f / 2 != 3)
    return load_half_line(line + 64 * (f / 2));
  const __m256i a = _mm256_srli_epi16(load_half_line(line), 6), b = _mm256_srli_epi16(load_half_line(line + 64), 4);
  const __m256i c = _mm256_srli_epi16(load_half_line(line + 128), 2);
  return _mm256_or_si256(
      _mm256_and_si256(a, _mm256_set1_epi8(0x03)),
      _mm256_or_si256(_mm256_and_si256(b, _mm256_set1_epi8(0x0c)), _mm256_and_si256(c, _mm256_set1_epi8(0x30))));
}

template <int Bits> EDGEQ_INLINE int field_shift(int f) { return Bits == 3 ? 3 * (f % 2) : Bits * f; }

} // namespace edgeq::kernels
