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

EDGEQ_INLINE float largest_float(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

struct Avx2 {
  static std::uint32_t largest(const float* values, std::size_t valid) {
    const PaddedBlock padded(values, valid);
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (std::size_t i = 0; i < padded.count; i += 8)
      largest =
          _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(padded.x + i)), magnitude));
    return static_cast<std::uint32_t>(largest_lane(largest));
  }

  static void widen(const float* values, std::size_t valid, A8Range& range) {
    const PaddedBlock padded(values, valid);
    __m256 low = _mm256_set1_ps(range.low), high = _mm256_set1_ps(range.high);
    for (std::size_t i = 0; i < padded.count; i += 8) {
      low = _mm256_min_ps(low, _mm256_loadu_ps(padded.x + i));
      high = _mm256_max_ps(high, _mm256_loadu_ps(padded.x + i));
    }
    range = {-largest_float(_mm256_sub_ps(_mm256_setzero_ps(), low)), largest_float(high)};
  }

  static std::int32_t quantize(const float* values, std::size_t valid, const A8Step& step, std::int8_t* codes,
                               std::size_t stride) {
    const PaddedBlock padded(values, valid);
    const __m256i usable = _mm256_set1_epi32(step.usable() ? -1 : 0), zero = _mm256_set1_epi32(step.zero);
    const __m256 divisor = _mm256_set1_ps(step.scale);
    const __m256 low = _mm256_set1_ps(step.low()), high = _mm256_set1_ps(step.high());
    __m256i total = _mm256_setzero_si256();
    for (std::size_t i = 0; i < padded.count; i += 8, codes += 2 * stride) {
      const __m256 quotient = _mm256_div_ps(_mm256_loadu_ps(padded.x + i), divisor);
      __m256i code = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(quotient, high), low));
      code = _mm256_and_si256(_mm256_add_epi32(code, zero), usable);
      if (step.zero != 0 && i + 8 > valid) // padding has code 0, not the zero point
        code = _mm256_and_si256(code, first_lanes(i < valid ? valid - i : 0));
      total = _mm256_add_epi32(total, code);
      store_codes(code, codes, stride);
    }
    return sum_of_lanes(total);
  }

private:
  /// All bits of the first `count` lanes.
  EDGEQ_MEMBER static __m256i first_lanes(std::size_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

} // namespace

void quantize_a8_avx2(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                      std::size_t last) {
  quantize_a8_panels<Avx2>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
