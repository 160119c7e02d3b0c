// SPDX-License-Identifier: Apache-2.0
// The register block of MatmulF32 on 64-bit ARM.
#pragma once

#include "matmul_f32_driver.h"
#include "multiply_f32_neon.h"

namespace edgeq::kernels {
namespace {

/// `x` is [Tokens][stride].
template <int Tokens>
void multiply_tokens(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  constexpr int kVectors = Tokens <= 4 ? 4 : 2;
  for (std::size_t row = 0; row < kUniformTileRows; row += 4 * kVectors)
    multiply_rows<Tokens, kVectors, kUniformTileRows>(
        weights + row, count,
        [&](std::size_t k, int t)
            __attribute__((always_inline)) { return x[static_cast<std::size_t>(t) * stride + k]; },
        y + row);
}

struct F32BlockNeon {
  static constexpr std::size_t kTokens = 8;

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t stride, std::size_t tokens,
                       float* y) {
    using Function = void (*)(const float*, std::size_t, const float*, std::size_t, float*);
    static constexpr Function kFunctions[kTokens] = {multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>,
                                                     multiply_tokens<4>, multiply_tokens<5>, multiply_tokens<6>,
                                                     multiply_tokens<7>, multiply_tokens<8>};
    kFunctions[tokens - 1](weights, count, x, stride, y);
  }
};

/// Writes four rows' weights of four inputs, [k][32 rows], from their factors; `zero` is subtracted from them.
EDGEQ_INLINE void store_weights(int8x16_t factors, float32x4_t scale, int32x4_t zero, float* out) {
  for_constants<4>([&](auto input) __attribute__((always_inline)) {
    constexpr int j = decltype(input)::value;
    const int32x4_t factor = vshrq_n_s32(vshlq_n_s32(vreinterpretq_s32_s8(factors), 24 - 8 * j), 24);
    vst1q_f32(out + j * kUniformTileRows, vmulq_f32(scale, vcvtq_f32_s32(vsubq_s32(factor, zero))));
  });
}

} // namespace
} // namespace edgeq::kernels
