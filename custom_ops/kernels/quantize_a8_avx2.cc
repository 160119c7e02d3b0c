// SPDX-License-Identifier: Apache-2.0
#include "quantize_a8_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE std::int32_t largest_lane(__m256i v) {
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}

EDGEQ_INLINE std::int32_t sum_of_lanes(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/// Eight codes, the second four `stride` bytes behind the first.
EDGEQ_INLINE void store_codes(__m256i code, std::int8_t* out, std::size_t stride) {
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(code, code), code);
  const std::int32_t first = _mm256_extract_epi32(packed, 0), second = _mm256_extract_epi32(packed, 4);
  std::memcpy(out, &first, 4);
  std::memcpy(out + stride, &second, 4);
}

struct Avx2 {
  static void run(const float* x, std::size_t count, std::int8_t* codes, std::size_t stride, float* scale,
                  std::int32_t* sum) {
    const std::size_t padded = (count + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
    float copy[kActivationBlock] = {};
    if (count != padded) {
      std::memcpy(copy, x, count * sizeof(float));
      x = copy;
    }
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256(), total = _mm256_setzero_si256();
    for (std::size_t i = 0; i < padded; i += 8)
      largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + i)), magnitude));
    *scale = block_scale(static_cast<std::uint32_t>(largest_lane(largest)));
    const __m256i usable = _mm256_set1_epi32(*scale > 0 ? -1 : 0); // 0 for NaN
    const __m256 divisor = _mm256_set1_ps(*scale);
    const __m256i limit = _mm256_set1_epi32(127);
    for (std::size_t i = 0; i < padded; i += 8, codes += 2 * stride) {
      __m256i code = _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x + i), divisor));
      code = _mm256_max_epi32(_mm256_min_epi32(code, limit), _mm256_sub_epi32(_mm256_setzero_si256(), limit));
      code = _mm256_and_si256(code, usable);
      total = _mm256_add_epi32(total, code);
      store_codes(code, codes, stride);
    }
    *sum = sum_of_lanes(total);
  }
};

} // namespace

void quantize_a8_avx2(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                      std::size_t last) {
  quantize_a8_panels<Avx2>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
