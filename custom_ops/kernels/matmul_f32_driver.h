// SPDX-License-Identifier: Apache-2.0
// The loops around the register block of MatmulF32. Included by one source per instruction set.
#pragma once

#include "dint_gemm.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kTokensPerPass = 96; // their sums, 12 KiB, stay in the first-level cache

/// One tile times tokens [first, last). Kernel::decode(layout, tile, begin, end, out) writes the weights of an
/// activation block, [k][32 rows]; Kernel::multiply(weights, count, x, stride, tokens, y) adds their products with up
/// to Kernel::kTokens tokens to y, [token][32].
template <class Kernel>
void matmul_f32_tile(const MatmulF32& product, std::size_t tile, std::size_t first, std::size_t last) {
  const UniformLayout& layout = product.layout;
  const Grouping& inputs = layout.inputs;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  alignas(64) float decoded[kActivationBlock * kUniformTileRows];
  alignas(64) float sums[kTokensPerPass * kUniformTileRows];
  __builtin_memset(sums, 0, (last - first) * kUniformTileRows * sizeof(float));
  for (std::size_t k = 0, end = 0; k < inputs.padded_k; k = end) {
    end = inputs.block_end(k);
    Kernel::decode(layout, weights, k, end, decoded);
    for (std::size_t token = first; token < last; token += Kernel::kTokens)
      Kernel::multiply(decoded, smaller(end, inputs.k) - k, product.x + token * inputs.k + k, inputs.k,
                       smaller(Kernel::kTokens, last - token), sums + (token - first) * kUniformTileRows);
  }
  const std::size_t row = tile * kUniformTileRows, rows = smaller(kUniformTileRows, layout.n - row);
  for (std::size_t token = first; token < last; ++token)
    for (std::size_t r = 0; r < rows; ++r) {
      const float sum = sums[(token - first) * kUniformTileRows + r];
      product.y[token * layout.n + row + r] = product.bias == nullptr ? sum : sum + product.bias[row + r];
    }
}

template <class Kernel> void matmul_f32_tiles(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for (std::size_t tile = first_tile; tile < last_tile; ++tile)
    for (std::size_t token = 0; token < product.tokens; token += kTokensPerPass)
      matmul_f32_tile<Kernel>(product, tile, token, smaller(token + kTokensPerPass, product.tokens));
}

} // namespace
} // namespace edgeq::kernels
