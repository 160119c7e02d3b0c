// SPDX-License-Identifier: Apache-2.0
#include "build_lut_blocks.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

/// The signs of input j in entries 8 · half to 8 · half + 7 of a table.
EDGEQ_INLINE __m256 signs(int j, int half) {
  const __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * half));
  const __m256i bit = _mm256_and_si256(_mm256_srli_epi32(index, j), _mm256_set1_epi32(1));
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_add_epi32(bit, bit), _mm256_set1_epi32(1)));
}

/// Half of the 16 sums of a run. Products with ±1 are exact, so fused sums round like plain ones.
EDGEQ_INLINE __m256 signed_sums(const float* x, int half) {
  __m256 sum = _mm256_mul_ps(_mm256_set1_ps(x[0]), signs(0, half));
  EDGEQ_UNROLL for (int j = 1; j < 4; ++j) sum = _mm256_fmadd_ps(_mm256_set1_ps(x[j]), signs(j, half), sum);
  return sum;
}

LutScale measure(const float* x, std::size_t size, std::size_t table_bits) {
  __m256 largest = _mm256_setzero_ps(), sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (std::size_t k = 0; k < size; k += 4) // the other half of the entries are these with the other sign
    largest = _mm256_max_ps(largest, _mm256_andnot_ps(_mm256_set1_ps(-0.0F), signed_sums(x + k, 1)));
  for (std::size_t k = 0; k < size; k += 16)
    EDGEQ_UNROLL
  for (int i = 0; i < 2; ++i)
    sum[i] = _mm256_add_ps(sum[i], _mm256_loadu_ps(x + k + 8 * i));
  float lanes[16], maxima[8], most = 0;
  EDGEQ_UNROLL
  for (int i = 0; i < 2; ++i)
    _mm256_storeu_ps(lanes + 8 * i, sum[i]);
  _mm256_storeu_ps(maxima, largest);
  for (float value : maxima)
    most = value > most ? value : most;
  return lut_scale(most, add_lanes(lanes), table_bits);
}

EDGEQ_INLINE void store_bytes(__m256i words, std::uint8_t* out) {
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
}

EDGEQ_INLINE void store(__m256i first, __m256i second, std::size_t table_bits, std::uint8_t* low) {
  const __m256i entries = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
  if (table_bits == 8)
    return store_bytes(_mm256_add_epi16(entries, _mm256_set1_epi16(128)), low);
  const __m256i biased = _mm256_xor_si256(entries, _mm256_set1_epi16(-32768)); // adds 2^15
  store_bytes(_mm256_and_si256(biased, _mm256_set1_epi16(255)), low);
  store_bytes(_mm256_srli_epi16(biased, 8), low + 64);
}

void build_block(const float* x, std::size_t size, std::size_t table_bits, std::uint8_t* entries, LutBlock* block) {
  const LutScale scale = measure(x, size, table_bits);
  *block = scale.block;
  const __m256 factor = _mm256_set1_ps(scale.factor);
  const __m256 keep =
      _mm256_castsi256_ps(_mm256_set1_epi32(scale.factor == 0 ? 0 : -1)); // there may be NaN among the sums
  for (std::size_t run = 0; run < size / 4; ++run) {
    __m256i entry[2];
    EDGEQ_UNROLL for (int half = 0; half < 2; ++half) {
      const __m256 value = _mm256_mul_ps(signed_sums(x + 4 * run, half), factor);
      entry[half] = _mm256_cvtps_epi32(_mm256_and_ps(keep, value));
    }
    store(entry[0], entry[1], table_bits, entries + run_offset(run, table_bits));
  }
}

} // namespace

void build_lut_avx2(const float* x, const Grouping& inputs, std::size_t table_bits, std::uint8_t* entries,
                    LutBlock* blocks) {
  build_blocks(x, inputs, table_bits, entries, blocks,
               [&](const float* block_x, std::size_t size, std::uint8_t* block_entries, LutBlock* block) {
                 build_block(block_x, size, table_bits, block_entries, block);
               });
}

} // namespace edgeq::kernels
