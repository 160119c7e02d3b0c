// SPDX-License-Identifier: Apache-2.0
// The loops around the kernels of MatmulBcq. Included by one source per instruction set.
#pragma once

#include "matmul_lut_driver.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kTokensPerPass =
    192; // a multiple of every kTokens; their sums, 48 KiB, stay in the second-level cache

/// Multiplies tiles [first, last) by all tokens. Kernel::decode(block, planes, tile, out) writes the weights of a
/// block, [inputs][64 rows]; Kernel::multiply(weights, count, x, tokens, sums) adds the products of `count` inputs
/// and up to Kernel::kTokens tokens, x[count][tokens], to sums[tokens][64].
template <class Kernel>
EDGEQ_INLINE void matmul_bcq_pass(const MatmulBcq& product, const std::uint8_t* tile, std::size_t first,
                                  std::size_t tokens, float* sums) {
  alignas(64) float weights[kActivationBlock * kBcqTileRows];
  const std::size_t k = product.layout.inputs.k;
  for_each_block(product.layout, [&](const BcqBlock& block) {
    Kernel::decode(block, product.layout.planes, tile, weights);
    for (std::size_t t = 0; t < tokens; t += Kernel::kTokens) {
      const std::size_t size = smaller(Kernel::kTokens, tokens - t);
      Kernel::multiply(weights, smaller(block.size, k - block.start), product.x + (first + t) * k + block.start * size,
                       size, sums + t * kBcqTileRows);
    }
  });
}

template <class Kernel>
EDGEQ_INLINE void matmul_bcq_tiles(const MatmulBcq& product, std::size_t first_tile, std::size_t last_tile) {
  const BcqLayout& layout = product.layout;
  alignas(64) float sums[kTokensPerPass * kBcqTileRows];
  for (std::size_t tile = first_tile; tile < last_tile; ++tile)
    for (std::size_t token = 0; token < product.tokens; token += kTokensPerPass) {
      const std::size_t tokens = smaller(kTokensPerPass, product.tokens - token);
      __builtin_memset(sums, 0, tokens * kBcqTileRows * sizeof *sums);
      matmul_bcq_pass<Kernel>(product, product.weights + tile * layout.tile_bytes(), token, tokens, sums);
      store_rows(layout, tile, sums, tokens, product.bias, product.y + token * layout.n);
    }
}

} // namespace
} // namespace edgeq::kernels
