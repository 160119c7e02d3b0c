// SPDX-License-Identifier: Apache-2.0
// What BcqTileDecoder asks of 256-bit vectors.
#pragma once

#include "bcq_levels.h"
#include "vector_avx2.h"

namespace edgeq::kernels {

struct BcqVector256 : Vector256 {
  using Mask = __m256i;
  using Vector256::add;
  using Vector256::subtract;

  EDGEQ_MEMBER static __m256i load_words(const std::uint8_t* p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  EDGEQ_MEMBER static __m256i copy_byte(__m256i words, int i) {
    const __m256i first =
        _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    return _mm256_shuffle_epi8(words, _mm256_add_epi8(first, _mm256_set1_epi8(static_cast<char>(i))));
  }
  EDGEQ_MEMBER static __m256i test(__m256i a, __m256i b) { return _mm256_cmpeq_epi8(_mm256_and_si256(a, b), b); }
  EDGEQ_MEMBER static __m256i choose(__m256i mask, __m256i a, __m256i b) { return _mm256_blendv_epi8(b, a, mask); }
  EDGEQ_MEMBER static __m256 absolute(__m256 f) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), f); }
  EDGEQ_MEMBER static __m256 largest(__m256 f, __m256 g) { return _mm256_max_ps(f, g); }
  EDGEQ_MEMBER static __m256 add(__m256 f, __m256 g) { return _mm256_add_ps(f, g); }
  EDGEQ_MEMBER static __m256 subtract(__m256 f, __m256 g) { return _mm256_sub_ps(f, g); }
  EDGEQ_MEMBER static __m256 inverse(__m256 f) {
    const __m256 not_zero = _mm256_cmp_ps(f, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    return _mm256_and_ps(not_zero, _mm256_div_ps(_mm256_set1_ps(1), f));
  }
  EDGEQ_MEMBER static __m256i to_bytes(__m256 f) {
    return copy_byte(_mm256_add_epi32(_mm256_cvtps_epi32(f), _mm256_set1_epi32(kBcqByteCentre)), 0);
  }
  EDGEQ_MEMBER static __m256 round_scale(__m256 f) {
    const __m256i rounding = _mm256_set1_epi32(kBcqScaleRounding);
    return _mm256_castsi256_ps(_mm256_andnot_si256(rounding, _mm256_add_epi32(_mm256_castps_si256(f), rounding)));
  }
};

} // namespace edgeq::kernels
