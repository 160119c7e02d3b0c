// SPDX-License-Identifier: Apache-2.0
#include "avx512.h"
#include "matmul_f32_driver.h"
#include "uniform_dispatch.h"
#include "uniform_fields.h"

namespace edgeq::kernels {
namespace {

/// Writes the weights of a chunk of one row block, [k][32 rows], from lane-wise codes.
template <int Bits> EDGEQ_INLINE void decode_chunk(const std::uint8_t* lines, __m512 scale, __m512i zero, float* out) {
  EDGEQ_UNROLL for (int f = 0; f < static_cast<int>(UniformFields<Bits>::kFields); ++f) {
    const bool derived = Bits == 3 && f / 2 == 3;
    const __m512i line = derived ? derived_line(lines) : load_line(lines + (Bits == 3 ? 64 * (f / 2) : 0));
    const int shift = Bits == 3 ? 3 * (f % 2) : Bits * f;
    EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += kUniformTileRows) {
      const __m512i code = _mm512_and_si512(_mm512_srli_epi32(line, static_cast<unsigned>(8 * j + shift)),
                                            _mm512_set1_epi32((1 << Bits) - 1));
      _mm512_storeu_ps(out, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(_mm512_sub_epi32(code, zero))));
    }
  }
}

/// Adds the products of Tokens tokens to 32 rows. A lone token sums even and odd inputs apart to hide latency.
template <int Tokens>
void multiply_tokens(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  constexpr int kChains = Tokens <= 2 ? 4 : 1;
  __m512 acc[Tokens][2][kChains];
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
    acc[t][b][0] = _mm512_loadu_ps(y + 32 * t + 16 * b);
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][b][c] = _mm512_setzero_ps();
  }
  auto step = [&](std::size_t k, int chain) __attribute__((always_inline)) {
    const __m512 upper = _mm512_loadu_ps(weights + 32 * k), lower = _mm512_loadu_ps(weights + 32 * k + 16);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m512 activation = _mm512_set1_ps(x[static_cast<std::size_t>(t) * stride + k]);
      acc[t][0][chain] = _mm512_fmadd_ps(upper, activation, acc[t][0][chain]);
      acc[t][1][chain] = _mm512_fmadd_ps(lower, activation, acc[t][1][chain]);
    }
  };
  std::size_t k = 0;
  for (; k + kChains <= count; k += kChains)
    EDGEQ_UNROLL for (int c = 0; c < kChains; ++c) step(k + static_cast<std::size_t>(c), c);
  for (; k < count; ++k)
    step(k, 0);
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][b][0] = _mm512_add_ps(acc[t][b][0], acc[t][b][c]);
    _mm512_storeu_ps(y + 32 * t + 16 * b, acc[t][b][0]);
  }
}

template <int Bits, bool ZeroPoint> struct Avx512 {
  static constexpr std::size_t kTokens = 12;

  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    using Fields = UniformFields<Bits>;
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    __m512 scale[2];
    __m512i zero[2];
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
      scale[b] = load_halfs(trailer + 32 * b);
      zero[b] = ZeroPoint ? load_bytes_as_int32(trailer + 64 + 16 * b) : _mm512_set1_epi32(1 << (Bits - 1));
    }
    for (std::size_t k = begin; k < end; k += Fields::kChunkInputs, out += Fields::kChunkInputs * kUniformTileRows)
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b, lines += Fields::kChunkBytes)
          decode_chunk<Bits>(lines, scale[b], zero[b], out + 16 * b);
  }

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t stride, std::size_t tokens,
                       float* y) {
    using Function = void (*)(const float*, std::size_t, const float*, std::size_t, float*);
    static constexpr Function kFunctions[kTokens] = {multiply_tokens<1>,  multiply_tokens<2>,  multiply_tokens<3>,
                                                     multiply_tokens<4>,  multiply_tokens<5>,  multiply_tokens<6>,
                                                     multiply_tokens<7>,  multiply_tokens<8>,  multiply_tokens<9>,
                                                     multiply_tokens<10>, multiply_tokens<11>, multiply_tokens<12>};
    kFunctions[tokens - 1](weights, count, x, stride, y);
  }
};

} // namespace

void matmul_f32_f32_uniform_12x32_avx512(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_uniform<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
