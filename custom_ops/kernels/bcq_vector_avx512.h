// SPDX-License-Identifier: Apache-2.0
// What BcqTileDecoder asks of 512-bit vectors.
#pragma once

#include "bcq_levels.h"
#include "vector_avx512.h"

namespace edgeq::kernels {

struct BcqVector512 : Vector512 {
  using Mask = __mmask64;
  using Vector512::add;
  using Vector512::subtract;

  EDGEQ_MEMBER static __m512i load_words(const std::uint8_t* p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  EDGEQ_MEMBER static __m512i copy_byte(__m512i words, int i) {
    const __m512i first = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    return _mm512_shuffle_epi8(words, _mm512_add_epi8(first, _mm512_set1_epi8(static_cast<char>(i))));
  }
  EDGEQ_MEMBER static __mmask64 test(__m512i a, __m512i b) { return _mm512_test_epi8_mask(a, b); }
  EDGEQ_MEMBER static __m512i choose(__mmask64 mask, __m512i a, __m512i b) {
    return _mm512_mask_blend_epi8(mask, b, a);
  }
  EDGEQ_MEMBER static __m512 absolute(__m512 f) { return _mm512_abs_ps(f); }
  EDGEQ_MEMBER static __m512 largest(__m512 f, __m512 g) { return _mm512_max_ps(f, g); }
  EDGEQ_MEMBER static __m512 add(__m512 f, __m512 g) { return _mm512_add_ps(f, g); }
  EDGEQ_MEMBER static __m512 subtract(__m512 f, __m512 g) { return _mm512_sub_ps(f, g); }
  EDGEQ_MEMBER static __m512 inverse(__m512 f) {
    const __mmask16 not_zero = _mm512_cmp_ps_mask(f, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    return _mm512_maskz_div_ps(not_zero, _mm512_set1_ps(1), f);
  }
  EDGEQ_MEMBER static __m512i to_bytes(__m512 f) {
    const __m512i bytes = _mm512_add_epi32(_mm512_cvtps_epi32(f), _mm512_set1_epi32(kBcqByteCentre));
    return copy_byte(bytes, 0);
  }
  EDGEQ_MEMBER static __m512 round_scale(__m512 f) {
    const __m512i rounding = _mm512_set1_epi32(kBcqScaleRounding);
    return _mm512_castsi512_ps(_mm512_andnot_si512(rounding, _mm512_add_epi32(_mm512_castps_si512(f), rounding)));
  }
};

} // namespace edgeq::kernels
