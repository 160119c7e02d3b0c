// SPDX-License-Identifier: Apache-2.0
#include "matmul_bcq_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE __m512 load_halfs(const std::uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

/// A line's bytes in the order of the rows.
EDGEQ_INLINE __m512i load_rows(const std::uint8_t* line) {
  const __m512i even_first = _mm512_set4_epi32(0x0f0d0b09, 0x07050301, 0x0e0c0a08, 0x06040200);
  const __m512i halves = _mm512_shuffle_epi8(_mm512_loadu_si512(line), even_first);
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), halves);
}

/// Decodes a block of kPlanes planes: a row's weight is the one of the code 0 plus 2α of each plane whose bit is set.
template <int kPlanes> void decode_block(const BcqBlock& block, const std::uint8_t* tile, float* out) {
  __m512 zero[4], steps[kPlanes][4];
  EDGEQ_UNROLL
  for (int r = 0; r < 4; ++r) {
    zero[r] = load_halfs(tile + block.coefficients + 128 * kPlanes + 32 * r);
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p) {
      const __m512 coefficient = load_halfs(tile + block.coefficients + 128 * p + 32 * r);
      zero[r] = _mm512_sub_ps(zero[r], coefficient);
      steps[p][r] = _mm512_add_ps(coefficient, coefficient);
    }
  }
  const std::uint8_t* line = tile + block.lines;
  for (std::size_t k = 0; k < block.size; k += kBcqRun, line += kPlanes * kBcqTileRows) {
    __m512i codes[kPlanes];
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p)
      codes[p] = load_rows(line + 64 * p);
    for (int bit = 0; bit < 8; ++bit, out += kBcqTileRows) {
      __m512 weights[4] = {zero[0], zero[1], zero[2], zero[3]};
      EDGEQ_UNROLL
      for (int p = 0; p < kPlanes; ++p) {
        const __mmask64 set = _mm512_test_epi8_mask(codes[p], _mm512_set1_epi8(static_cast<char>(1 << bit)));
        EDGEQ_UNROLL
        for (int r = 0; r < 4; ++r)
          weights[r] = _mm512_mask_add_ps(weights[r], static_cast<__mmask16>(set >> 16 * r), weights[r], steps[p][r]);
      }
      EDGEQ_UNROLL
      for (int r = 0; r < 4; ++r)
        _mm512_store_ps(out + 16 * r, weights[r]);
    }
  }
}

template <int kTokens> void multiply_tokens(const float* weights, std::size_t count, const float* x, float* sums) {
  __m512 sum[kTokens][4];
  EDGEQ_UNROLL
  for (int i = 0; i < 4 * kTokens; ++i)
    sum[i / 4][i % 4] = _mm512_loadu_ps(sums + 16 * i);
  for (std::size_t k = 0; k < count; ++k, weights += kBcqTileRows, x += kTokens) {
    __m512 row[4];
    EDGEQ_UNROLL
    for (int r = 0; r < 4; ++r)
      row[r] = _mm512_load_ps(weights + 16 * r);
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const __m512 activation = _mm512_set1_ps(x[t]);
      EDGEQ_UNROLL
      for (int r = 0; r < 4; ++r)
        sum[t][r] = _mm512_fmadd_ps(row[r], activation, sum[t][r]);
    }
  }
  EDGEQ_UNROLL
  for (int i = 0; i < 4 * kTokens; ++i)
    _mm512_storeu_ps(sums + 16 * i, sum[i / 4][i % 4]);
}

struct Kernel {
  static constexpr std::size_t kTokens = 6;

  EDGEQ_MEMBER static void decode(const BcqBlock& block, std::size_t planes, const std::uint8_t* tile, float* out) {
    constexpr void (*by_planes[])(const BcqBlock&, const std::uint8_t*, float*) = {decode_block<1>, decode_block<2>,
                                                                                   decode_block<3>, decode_block<4>};
    by_planes[planes - 1](block, tile, out);
  }

  EDGEQ_MEMBER static void multiply(const float* weights, std::size_t count, const float* x, std::size_t tokens,
                                    float* sums) {
    constexpr void (*by_tokens[])(const float*, std::size_t, const float*,
                                  float*) = {multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>,
                                             multiply_tokens<4>, multiply_tokens<5>, multiply_tokens<6>};
    by_tokens[tokens - 1](weights, count, x, sums);
  }
};

} // namespace

void matmul_f32_f32_bcq_6x64_avx512(const MatmulBcq& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_bcq_tiles<Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
