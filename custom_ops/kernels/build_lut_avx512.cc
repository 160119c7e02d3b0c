// SPDX-License-Identifier: Apache-2.0
#include "build_lut_blocks.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

/// The signs of input j in the 16 entries of a table.
EDGEQ_INLINE __m512 signs(int j) {
  const __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __mmask16 plus = _mm512_test_epi32_mask(index, _mm512_set1_epi32(1 << j));
  return _mm512_mask_blend_ps(plus, _mm512_set1_ps(-1), _mm512_set1_ps(1));
}

/// The 16 sums of a run. Products with ±1 are exact, so fused sums round like plain ones.
EDGEQ_INLINE __m512 signed_sums(const float* x) {
  __m512 sum = _mm512_mul_ps(_mm512_set1_ps(x[0]), signs(0));
  EDGEQ_UNROLL for (int j = 1; j < 4; ++j) sum = _mm512_fmadd_ps(_mm512_set1_ps(x[j]), signs(j), sum);
  return sum;
}

LutScale measure(const float* x, std::size_t size, std::size_t table_bits) {
  __m512 largest = _mm512_setzero_ps(), sum = _mm512_setzero_ps();
  for (std::size_t k = 0; k < size; k += 4)
    largest = _mm512_max_ps(largest, signed_sums(x + k));
  for (std::size_t k = 0; k < size; k += 16)
    sum = _mm512_add_ps(sum, _mm512_loadu_ps(x + k));
  float lanes[16];
  _mm512_storeu_ps(lanes, sum);
  return lut_scale(_mm512_reduce_max_ps(largest), add_lanes(lanes), table_bits);
}

EDGEQ_INLINE void store(__m512i entries, std::size_t table_bits, std::uint8_t* low) {
  entries = _mm512_add_epi32(entries, _mm512_set1_epi32(1 << (table_bits - 1)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(low), _mm512_cvtepi32_epi8(entries));
  if (table_bits == 16)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(low + 64), _mm512_cvtepi32_epi8(_mm512_srli_epi32(entries, 8)));
}

void build_block(const float* x, std::size_t size, std::size_t table_bits, std::uint8_t* entries, LutBlock* block) {
  const LutScale scale = measure(x, size, table_bits);
  *block = scale.block;
  const __m512 factor = _mm512_set1_ps(scale.factor);
  const __mmask16 keep = scale.factor == 0 ? 0 : 0xffff; // there may be NaN among the sums
  for (std::size_t run = 0; run < size / 4; ++run) {
    const __m512 value = _mm512_maskz_mul_ps(keep, signed_sums(x + 4 * run), factor);
    store(_mm512_cvtps_epi32(value), table_bits, entries + run_offset(run, table_bits));
  }
}

} // namespace

void build_lut_avx512(const float* x, const Grouping& inputs, std::size_t table_bits, std::uint8_t* entries,
                      LutBlock* blocks) {
  build_blocks(x, inputs, table_bits, entries, blocks,
               [&](const float* block_x, std::size_t size, std::uint8_t* block_entries, LutBlock* block) {
                 build_block(block_x, size, table_bits, block_entries, block);
               });
}

} // namespace edgeq::kernels
