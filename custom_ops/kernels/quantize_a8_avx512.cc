// SPDX-License-Identifier: Apache-2.0
#include "quantize_a8_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

/// Lanes of activations i … i+15 that lie in a block of `count`.
EDGEQ_INLINE __mmask16 valid_lanes(std::size_t i, std::size_t count) {
  const unsigned valid = i + 16 <= count ? 16 : i < count ? static_cast<unsigned>(count - i) : 0;
  return static_cast<__mmask16>((1U << valid) - 1);
}

/// Activations i … i+15 of a block of `count`, zero behind its end.
EDGEQ_INLINE __m512 load_activations(const float* x, std::size_t i, std::size_t count) {
  return i + 16 <= count ? _mm512_loadu_ps(x + i) : _mm512_maskz_loadu_ps(valid_lanes(i, count), x + i);
}

/// Four groups of four codes, `stride` bytes apart.
EDGEQ_INLINE void store_codes(__m128i codes, std::int8_t* out, std::size_t stride) {
  if (stride == 4)
    return _mm_storeu_si128(reinterpret_cast<__m128i*>(out), codes);
  std::int32_t fours[4];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(fours), codes);
  EDGEQ_UNROLL for (std::size_t i = 0; i < 4; ++i) std::memcpy(out + i * stride, &fours[i], 4);
}

struct Avx512 {
  static std::uint32_t largest(const float* x, std::size_t count) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512();
    for (std::size_t i = 0; i < count; i += 16)
      largest =
          _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(load_activations(x, i, count)), magnitude));
    return static_cast<std::uint32_t>(_mm512_reduce_max_epi32(largest));
  }

  static void widen(const float* x, std::size_t count, A8Range& range) {
    __m512 low = _mm512_set1_ps(range.low), high = _mm512_set1_ps(range.high);
    for (std::size_t i = 0; i < count; i += 16) {
      low = _mm512_min_ps(low, load_activations(x, i, count));
      high = _mm512_max_ps(high, load_activations(x, i, count));
    }
    range = {_mm512_reduce_min_ps(low), _mm512_reduce_max_ps(high)};
  }

  static std::int32_t quantize(const float* x, std::size_t count, const A8Step& step, std::int8_t* codes,
                               std::size_t stride) {
    const std::size_t padded = (count + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
    const __m512 divisor = _mm512_set1_ps(step.scale);
    const __m512 low = _mm512_set1_ps(step.low()), high = _mm512_set1_ps(step.high());
    const __m512i zero = _mm512_set1_epi32(step.zero);
    __m512i total = _mm512_setzero_si512();
    for (std::size_t i = 0; i < padded; i += 16, codes += 4 * stride) {
      const __m512 quotient = _mm512_div_ps(load_activations(x, i, count), divisor);
      const __m512i whole = _mm512_cvtps_epi32(_mm512_max_ps(_mm512_min_ps(quotient, high), low));
      const __mmask16 usable = step.usable() ? valid_lanes(i, count) : 0; // padding has code 0, not the zero point
      const __m512i code = _mm512_maskz_add_epi32(usable, whole, zero);
      total = _mm512_add_epi32(total, code);
      store_codes(_mm512_cvtepi32_epi8(code), codes, stride);
    }
    return _mm512_reduce_add_epi32(total);
  }
};

} // namespace

void quantize_a8_avx512(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                        std::size_t last) {
  quantize_a8_panels<Avx512>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
