// SPDX-License-Identifier: Apache-2.0
// What CodebookLines asks of 256-bit vectors.
#pragma once

#include "vector_avx2.h"

namespace edgeq::kernels {

struct CodebookVector256 : Vector256 {
  EDGEQ_MEMBER static __m256i exclusive_or(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }
  EDGEQ_MEMBER static __m256i shuffle(__m256i table, __m256i index) { return _mm256_shuffle_epi8(table, index); }
  EDGEQ_MEMBER static __m256i merge(__m256i code, __m256i mask, __m256i rows) {
    return _mm256_or_si256(_mm256_and_si256(code, mask), rows);
  }
  /// A blend asks for the highest bit of a byte; neighbours' bits that shift in do not reach it.
  EDGEQ_MEMBER static __m256i choose(__m256i v, int bit, __m256i a, __m256i b) {
    return _mm256_blendv_epi8(b, a, _mm256_slli_epi16(v, 7 - __builtin_ctz(static_cast<unsigned>(bit))));
  }
  EDGEQ_MEMBER static __m256i repeat16(std::int64_t high, std::int64_t low) {
    return _mm256_broadcastsi128_si256(_mm_set_epi64x(high, low));
  }

  /// Even and odd 32-bit lanes of 64 bytes.
  EDGEQ_MEMBER static void split_pairs(const std::uint8_t* bytes, __m256i& even, __m256i& odd) {
    const __m256 a = _mm256_castsi256_ps(load(bytes)), b = _mm256_castsi256_ps(load(bytes + 32));
    even = in_order(_mm256_shuffle_ps(a, b, 0x88));
    odd = in_order(_mm256_shuffle_ps(a, b, 0xdd));
  }

  EDGEQ_MEMBER static void transpose(__m256i (&v)[4]) {
    const __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    const __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm256_unpacklo_epi64(a, c), v[1] = _mm256_unpackhi_epi64(a, c);
    v[2] = _mm256_unpacklo_epi64(b, d), v[3] = _mm256_unpackhi_epi64(b, d);
  }

private:
  /// The 64-bit lanes 0, 2, 1, 3.
  EDGEQ_MEMBER static __m256i in_order(__m256 v) { return _mm256_permute4x64_epi64(_mm256_castps_si256(v), 0xd8); }
};

} // namespace edgeq::kernels
