// SPDX-License-Identifier: Apache-2.0
#include "matmul_bcq_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE __m256 load_halfs(const std::uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

/// The bytes of rows 8 · part to 8 · part + 7 of a line, one in each lane.
EDGEQ_INLINE __m256i load_rows(const std::uint8_t* line, int part) {
  const int parity = part / 4; // even bytes hold rows 0 to 31, odd ones 32 to 63
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(line + 16 * (part % 4)));
  const __m256i words = _mm256_cvtepu16_epi32(bytes);
  return parity == 0 ? words : _mm256_srli_epi32(words, 8);
}

/// Decodes rows 8 · part to 8 · part + 7 of a block: a row's weight is the one of the code 0 plus 2α of each plane
/// whose bit is set.
template <int kPlanes> void decode_rows(const BcqBlock& block, int part, const std::uint8_t* tile, float* out) {
  const std::uint8_t* coefficients = tile + block.coefficients + 16 * part;
  __m256 zero = load_halfs(coefficients + 128 * kPlanes), steps[kPlanes];
  EDGEQ_UNROLL
  for (int p = 0; p < kPlanes; ++p) {
    const __m256 coefficient = load_halfs(coefficients + 128 * p);
    zero = _mm256_sub_ps(zero, coefficient);
    steps[p] = _mm256_add_ps(coefficient, coefficient);
  }
  const std::uint8_t* line = tile + block.lines;
  out += 8 * part;
  for (std::size_t k = 0; k < block.size; k += kBcqRun, line += kPlanes * kBcqTileRows) {
    __m256i codes[kPlanes];
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p)
      codes[p] = load_rows(line + 64 * p, part);
    EDGEQ_UNROLL
    for (int bit = 0; bit < 8; ++bit, out += kBcqTileRows) {
      __m256 weights = zero;
      EDGEQ_UNROLL
      for (int p = 0; p < kPlanes; ++p) {
        const __m256 set = _mm256_castsi256_ps(_mm256_srai_epi32(_mm256_slli_epi32(codes[p], 31 - bit), 31));
        weights = _mm256_add_ps(weights, _mm256_and_ps(set, steps[p]));
      }
      _mm256_store_ps(out, weights);
    }
  }
}

/// Multiplies 16 of the rows.
template <int kTokens> void multiply_tokens(const float* weights, std::size_t count, const float* x, float* sums) {
  __m256 sum[kTokens][2];
  EDGEQ_UNROLL
  for (int i = 0; i < 2 * kTokens; ++i)
    sum[i / 2][i % 2] = _mm256_loadu_ps(sums + 64 * (i / 2) + 8 * (i % 2));
  for (std::size_t k = 0; k < count; ++k, weights += kBcqTileRows, x += kTokens) {
    const __m256 row[2] = {_mm256_load_ps(weights), _mm256_load_ps(weights + 8)};
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const __m256 activation = _mm256_set1_ps(x[t]);
      EDGEQ_UNROLL
      for (int r = 0; r < 2; ++r)
        sum[t][r] = _mm256_fmadd_ps(row[r], activation, sum[t][r]);
    }
  }
  EDGEQ_UNROLL
  for (int i = 0; i < 2 * kTokens; ++i)
    _mm256_storeu_ps(sums + 64 * (i / 2) + 8 * (i % 2), sum[i / 2][i % 2]);
}

struct Kernel {
  static constexpr std::size_t kTokens = 6;

  EDGEQ_MEMBER static void decode(const BcqBlock& block, std::size_t planes, const std::uint8_t* tile, float* out) {
    constexpr void (*by_planes[])(const BcqBlock&, int, const std::uint8_t*, float*) = {decode_rows<1>, decode_rows<2>,
                                                                                        decode_rows<3>, decode_rows<4>};
    for (int part = 0; part < 8; ++part)
      by_planes[planes - 1](block, part, tile, out);
  }

  EDGEQ_MEMBER static void multiply(const float* weights, std::size_t count, const float* x, std::size_t tokens,
                                    float* sums) {
    constexpr void (*by_tokens[])(const float*, std::size_t, const float*,
                                  float*) = {multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>,
                                             multiply_tokens<4>, multiply_tokens<5>, multiply_tokens<6>};
    for (std::size_t row = 0; row < kBcqTileRows; row += 16)
      by_tokens[tokens - 1](weights + row, count, x, sums + row);
  }
};

} // namespace

void matmul_f32_f32_bcq_6x16_avx2(const MatmulBcq& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_bcq_tiles<Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
