// SPDX-License-Identifier: Apache-2.0
// 512-bit vectors for kernels that are written once for several instruction sets: 16 rows.
#pragma once

#include "avx512.h"

namespace edgeq::kernels {

struct Vector512 {
  using Integers = __m512i;
  using Floats = __m512;
  static constexpr std::size_t kRows = 16;
  static constexpr int kRegisters = 32;

  EDGEQ_MEMBER static __m512i load(const void* bytes) { return _mm512_loadu_si512(bytes); }
  EDGEQ_MEMBER static void store(void* bytes, __m512i v) { _mm512_storeu_si512(bytes, v); }
  EDGEQ_MEMBER static __m512i broadcast4(const void* bytes) { return kernels::broadcast4(bytes); }
  EDGEQ_MEMBER static __m512i all(std::int32_t value) { return _mm512_set1_epi32(value); }
  EDGEQ_MEMBER static __m512i all_bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  EDGEQ_MEMBER static __m512i add(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }
  EDGEQ_MEMBER static __m512i subtract(__m512i a, __m512i b) { return _mm512_sub_epi32(a, b); }
  EDGEQ_MEMBER static __m512i multiply(__m512i a, __m512i b) { return _mm512_mullo_epi32(a, b); }
  EDGEQ_MEMBER static __m512 bits_as_floats(__m512i v) { return _mm512_castsi512_ps(v); }

  EDGEQ_MEMBER static __m512i both(__m512i a, __m512i b) { return _mm512_and_si512(a, b); }
  EDGEQ_MEMBER static __m512i select(__m512i mask, __m512i a, __m512i b) { // a where the mask is set, else b
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
  }
  EDGEQ_MEMBER static __m512i shift_right(__m512i v, int bits) { // of 16-bit lanes
    return _mm512_srli_epi16(v, static_cast<unsigned>(bits));
  }
  EDGEQ_MEMBER static __m512i byte(__m512i v, int i) { // of 32-bit lanes
    return _mm512_and_si512(_mm512_srli_epi32(v, static_cast<unsigned>(8 * i)), _mm512_set1_epi32(255));
  }
  EDGEQ_MEMBER static __m512i add_bytes(__m512i a, __m512i b) { return _mm512_add_epi8(a, b); }
  EDGEQ_MEMBER static __m512i subtract_bytes(__m512i a, __m512i b) { return _mm512_sub_epi8(a, b); }
  /// a - b in the bytes where code < limit, else a.
  EDGEQ_MEMBER static __m512i subtract_below(__m512i a, __m512i b, __m512i code, int limit) {
    return _mm512_mask_sub_epi8(a, _mm512_cmplt_epu8_mask(code, all_bytes(limit)), a, b);
  }
  /// a + b in the bytes where code >= limit, else a.
  EDGEQ_MEMBER static __m512i add_from(__m512i a, __m512i b, __m512i code, int limit) {
    return _mm512_mask_add_epi8(a, _mm512_cmpge_epu8_mask(code, all_bytes(limit)), a, b);
  }
  /// Entries of a table of 16 bytes, for indices below 16.
  EDGEQ_MEMBER static __m512i look_up(const void* table, __m512i index) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_load_si128(static_cast<const __m128i*>(table))), index);
  }
  EDGEQ_MEMBER static __m512i load_bytes(const std::uint8_t* bytes) { return load_bytes_as_int32(bytes); }
  EDGEQ_MEMBER static __m512 load_halfs(const std::uint8_t* halfs) { return kernels::load_halfs(halfs); }
  EDGEQ_MEMBER static __m512 to_floats(__m512i v) { return _mm512_cvtepi32_ps(v); }
  EDGEQ_MEMBER static __m512 all_floats(float value) { return _mm512_set1_ps(value); }
  EDGEQ_MEMBER static __m512 multiply(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }

  EDGEQ_MEMBER static __m512 load_floats(const float* x) { return _mm512_loadu_ps(x); }
  EDGEQ_MEMBER static void store_floats(float* x, __m512 v) { _mm512_storeu_ps(x, v); }
  EDGEQ_MEMBER static __m512 broadcast(const float* x) { return _mm512_set1_ps(*x); }
  EDGEQ_MEMBER static __m512 multiply_add(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }

  /// Products of unsigned and signed bytes, summed in pairs to 16 bits, with saturation.
  EDGEQ_MEMBER static __m512i multiply_pairs(__m512i u, __m512i s) { return _mm512_maddubs_epi16(u, s); }
  EDGEQ_MEMBER static __m512i add_pairs(__m512i a, __m512i b) { return _mm512_add_epi16(a, b); }
  /// Pairs of 16-bit sums, times `factor`, in 32 bits.
  EDGEQ_MEMBER static __m512i widen_pairs(__m512i pairs, int factor) {
    return _mm512_madd_epi16(pairs, _mm512_set1_epi16(static_cast<short>(factor)));
  }
};

} // namespace edgeq::kernels
