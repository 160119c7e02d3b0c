// SPDX-License-Identifier: Apache-2.0
#include "quantize_a8_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

/// Activations i … i+15 of a block of `count`, zero behind its end.
EDGEQ_INLINE __m512 load_activations(const float* x, std::size_t i, std::size_t count) {
  if (i + 16 <= count)
    return _mm512_loadu_ps(x + i);
  const unsigned valid = i < count ? static_cast<unsigned>(count - i) : 0;
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << valid) - 1), x + i);
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
  static void run(const float* x, std::size_t count, std::int8_t* codes, std::size_t stride, float* scale,
                  std::int32_t* sum) {
    const std::size_t padded = (count + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512(), total = _mm512_setzero_si512();
    for (std::size_t i = 0; i < padded; i += 16)
      largest =
          _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(load_activations(x, i, count)), magnitude));
    *scale = block_scale(static_cast<std::uint32_t>(_mm512_reduce_max_epi32(largest)));
    const __mmask16 usable = *scale > 0 ? 0xffff : 0; // 0 for NaN
    const __m512 divisor = _mm512_set1_ps(*scale);
    const __m512i limit = _mm512_set1_epi32(127);
    for (std::size_t i = 0; i < padded; i += 16, codes += 4 * stride) {
      const __m512 quotient = _mm512_div_ps(load_activations(x, i, count), divisor);
      __m512i code = _mm512_maskz_cvtps_epi32(usable, quotient);
      code = _mm512_max_epi32(_mm512_min_epi32(code, limit), _mm512_sub_epi32(_mm512_setzero_si512(), limit));
      total = _mm512_add_epi32(total, code);
      store_codes(_mm512_cvtepi32_epi8(code), codes, stride);
    }
    *sum = _mm512_reduce_add_epi32(total);
  }
};

} // namespace

void quantize_a8_avx512(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                        std::size_t last) {
  quantize_a8_panels<Avx512>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
