// SPDX-License-Identifier: Apache-2.0
#include "avx2.h"
#include "matmul_f32_driver.h"
#include "uniform_dispatch.h"
#include "uniform_fields.h"

namespace edgeq::kernels {
namespace {

/// Writes the weights of a chunk of eight rows, [k][32 rows], from lane-wise codes.
template <int Bits> EDGEQ_INLINE void decode_chunk(const std::uint8_t* lines, __m256 scale, __m256i zero, float* out) {
  EDGEQ_UNROLL for (int f = 0; f < static_cast<int>(UniformFields<Bits>::kFields); ++f) {
    const __m256i line = field_line<Bits>(lines, f);
    EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += kUniformTileRows) {
      const __m256i code =
          _mm256_and_si256(_mm256_srli_epi32(line, 8 * j + field_shift<Bits>(f)), _mm256_set1_epi32((1 << Bits) - 1));
      _mm256_storeu_ps(out, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_sub_epi32(code, zero))));
    }
  }
}

/// Adds the products of Tokens tokens to 16 rows. A lone token sums every fourth input apart to hide latency.
template <int Tokens>
EDGEQ_INLINE void multiply_rows(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  constexpr int kChains = Tokens == 1 ? 4 : 1;
  __m256 acc[Tokens][2][kChains];
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
    acc[t][h][0] = _mm256_loadu_ps(y + 32 * t + 8 * h);
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][h][c] = _mm256_setzero_ps();
  }
  auto step = [&](std::size_t k, int chain) __attribute__((always_inline)) {
    const __m256 upper = _mm256_loadu_ps(weights + 32 * k), lower = _mm256_loadu_ps(weights + 32 * k + 8);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m256 activation = _mm256_set1_ps(x[static_cast<std::size_t>(t) * stride + k]);
      acc[t][0][chain] = _mm256_fmadd_ps(upper, activation, acc[t][0][chain]);
      acc[t][1][chain] = _mm256_fmadd_ps(lower, activation, acc[t][1][chain]);
    }
  };
  std::size_t k = 0;
  for (; k + kChains <= count; k += kChains)
    EDGEQ_UNROLL for (int c = 0; c < kChains; ++c) step(k + static_cast<std::size_t>(c), c);
  for (; k < count; ++k)
    step(k, 0);
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][h][0] = _mm256_add_ps(acc[t][h][0], acc[t][h][c]);
    _mm256_storeu_ps(y + 32 * t + 8 * h, acc[t][h][0]);
  }
}

template <int Tokens>
void multiply_tokens(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  multiply_rows<Tokens>(weights, count, x, stride, y);
  multiply_rows<Tokens>(weights + 16, count, x, stride, y + 16);
}

template <int Bits, bool ZeroPoint> struct Avx2 {
  static constexpr std::size_t kTokens = 6;

  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    using Fields = UniformFields<Bits>;
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    for (std::size_t rows = 0; rows < kUniformTileRows; rows += 8) {
      const __m256 scale = load_8_halfs(trailer + 2 * rows);
      const __m256i zero = ZeroPoint ? load_8_bytes_as_int32(trailer + 64 + rows) : _mm256_set1_epi32(1 << (Bits - 1));
      const std::uint8_t* chunk = lines + rows / 16 * Fields::kChunkBytes + rows % 16 * 4;
      float* weights = out + rows;
      for (std::size_t k = begin; k < end; k += Fields::kChunkInputs, chunk += 2 * Fields::kChunkBytes,
                       weights += Fields::kChunkInputs * kUniformTileRows)
        decode_chunk<Bits>(chunk, scale, zero, weights);
    }
  }

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t stride, std::size_t tokens,
                       float* y) {
    using Function = void (*)(const float*, std::size_t, const float*, std::size_t, float*);
    static constexpr Function kFunctions[kTokens] = {multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>,
                                                     multiply_tokens<4>, multiply_tokens<5>, multiply_tokens<6>};
    kFunctions[tokens - 1](weights, count, x, stride, y);
  }
};

} // namespace

void matmul_f32_f32_uniform_6x16_avx2(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_uniform<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
