// SPDX-License-Identifier: Apache-2.0
// 256-bit vectors for kernels that are written once for several instruction sets: 8 rows.
#pragma once

#include "avx2.h"

namespace edgeq::kernels {

struct Vector256 {
  using Integers = __m256i;
  using Floats = __m256;
  static constexpr std::size_t kRows = 8;
  static constexpr int kRegisters = 16;

  EDGEQ_MEMBER static __m256i load(const void* bytes) { return _mm256_loadu_si256(static_cast<const __m256i*>(bytes)); }
  EDGEQ_MEMBER static void store(void* bytes, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(bytes), v); }
  EDGEQ_MEMBER static __m256i broadcast4(const void* bytes) { return broadcast4_avx2(bytes); }
  EDGEQ_MEMBER static __m256i all(std::int32_t value) { return _mm256_set1_epi32(value); }
  EDGEQ_MEMBER static __m256i all_bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  EDGEQ_MEMBER static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
  EDGEQ_MEMBER static __m256i subtract(__m256i a, __m256i b) { return _mm256_sub_epi32(a, b); }
  EDGEQ_MEMBER static __m256i multiply(__m256i a, __m256i b) { return _mm256_mullo_epi32(a, b); }
  EDGEQ_MEMBER static __m256 bits_as_floats(__m256i v) { return _mm256_castsi256_ps(v); }

  EDGEQ_MEMBER static __m256i both(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }
  EDGEQ_MEMBER static __m256i select(__m256i mask, __m256i a, __m256i b) { // a where the mask is set, else b
    return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
  }
  EDGEQ_MEMBER static __m256i shift_right(__m256i v, int bits) { return _mm256_srli_epi16(v, bits); } // 16-bit lanes
  EDGEQ_MEMBER static __m256i byte(__m256i v, int i) {                                                // of 32-bit lanes
    return _mm256_and_si256(_mm256_srli_epi32(v, 8 * i), _mm256_set1_epi32(255));
  }
  EDGEQ_MEMBER static __m256i add_bytes(__m256i a, __m256i b) { return _mm256_add_epi8(a, b); }
  EDGEQ_MEMBER static __m256i subtract_bytes(__m256i a, __m256i b) { return _mm256_sub_epi8(a, b); }
  /// a - b in the bytes where code < limit, else a; for codes below 128. GCC makes two instructions of limit > code.
  EDGEQ_MEMBER static __m256i subtract_below(__m256i a, __m256i b, __m256i code, int limit) {
    return _mm256_sub_epi8(a, _mm256_andnot_si256(_mm256_cmpgt_epi8(code, all_bytes(limit - 1)), b));
  }
  /// a + b in the bytes where code >= limit, else a; for codes below 128.
  EDGEQ_MEMBER static __m256i add_from(__m256i a, __m256i b, __m256i code, int limit) {
    return _mm256_add_epi8(a, _mm256_and_si256(_mm256_cmpgt_epi8(code, all_bytes(limit - 1)), b));
  }
  /// Entries of a table of 16 bytes, for indices below 16.
  EDGEQ_MEMBER static __m256i look_up(const void* table, __m256i index) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(static_cast<const __m128i*>(table))), index);
  }
  EDGEQ_MEMBER static __m256i load_bytes(const std::uint8_t* bytes) { return load_8_bytes_as_int32(bytes); }
  EDGEQ_MEMBER static __m256 load_halfs(const std::uint8_t* halfs) { return load_8_halfs(halfs); }
  EDGEQ_MEMBER static __m256 to_floats(__m256i v) { return _mm256_cvtepi32_ps(v); }
  EDGEQ_MEMBER static __m256 all_floats(float value) { return _mm256_set1_ps(value); }
  EDGEQ_MEMBER static __m256 multiply(__m256 a, __m256 b) { return _mm256_mul_ps(a, b); }

  EDGEQ_MEMBER static __m256 load_floats(const float* x) { return _mm256_loadu_ps(x); }
  EDGEQ_MEMBER static void store_floats(float* x, __m256 v) { _mm256_storeu_ps(x, v); }
  EDGEQ_MEMBER static __m256 broadcast(const float* x) { return _mm256_broadcast_ss(x); }
  EDGEQ_MEMBER static __m256 multiply_add(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }

  /// Products of unsigned and signed bytes, summed in pairs to 16 bits, with saturation.
  EDGEQ_MEMBER static __m256i multiply_pairs(__m256i u, __m256i s) { return _mm256_maddubs_epi16(u, s); }
  EDGEQ_MEMBER static __m256i add_pairs(__m256i a, __m256i b) { return _mm256_add_epi16(a, b); }
  /// Pairs of 16-bit sums, times `factor`, in 32 bits.
  EDGEQ_MEMBER static __m256i widen_pairs(__m256i pairs, int factor) {
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(static_cast<short>(factor)));
  }
};

} // namespace edgeq::kernels
