// SPDX-License-Identifier: Apache-2.0
// What CodebookLines asks of 256-bit vectors: eight rows.
#pragma once

#include "avx2.h"

namespace edgeq::kernels {

struct CodebookVector256 {
  using Integers = __m256i;
  using Floats = __m256;
  static constexpr std::size_t kRows = 8;

  EDGEQ_MEMBER static __m256i load(const std::uint8_t* bytes) { return load_half_line(bytes); }
  EDGEQ_MEMBER static void store(void* bytes, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(bytes), v); }
  EDGEQ_MEMBER static __m256i all_bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  EDGEQ_MEMBER static __m256i both(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }
  EDGEQ_MEMBER static __m256i exclusive_or(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }
  EDGEQ_MEMBER static __m256i shift_right(__m256i v, int bits) { return _mm256_srli_epi16(v, bits); }
  EDGEQ_MEMBER static __m256i select(__m256i mask, __m256i a, __m256i b) { // a where the mask is set, else b
    return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
  }
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

  EDGEQ_MEMBER static __m256 load_halfs(const std::uint8_t* halfs) { return load_8_halfs(halfs); }
  EDGEQ_MEMBER static __m256 all_floats(float value) { return _mm256_set1_ps(value); }
  EDGEQ_MEMBER static __m256 multiply(__m256 a, __m256 b) { return _mm256_mul_ps(a, b); }
  EDGEQ_MEMBER static void store_floats(float* x, __m256 v) { _mm256_storeu_ps(x, v); }

private:
  /// The 64-bit lanes 0, 2, 1, 3.
  EDGEQ_MEMBER static __m256i in_order(__m256 v) { return _mm256_permute4x64_epi64(_mm256_castps_si256(v), 0xd8); }
};

} // namespace edgeq::kernels
