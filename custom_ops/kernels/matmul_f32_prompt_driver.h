// SPDX-License-Identifier: Apache-2.0
// The loops around products of 32 rows, decoded to floats, with the panels of many tokens: a stretch of the rows is
// decoded once, then multiplied with every panel. Included by one source per kernel.
#pragma once

#include "dint_gemm.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kF32Stretch = 256; // inputs; with 32 KiB of weights they stay in the second-level cache
constexpr std::size_t kF32Tiles = 2;
constexpr std::size_t kF32TokensPerPass = 384; // their sums, 48 KiB, too

/// Decodes blocks from input `begin` on, as many as fit into a stretch; returns where they end.
template <class Kernel>
EDGEQ_INLINE std::size_t decode_f32_stretch(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin,
                                            float* out) {
  std::size_t k = begin;
  while (k < layout.inputs.padded_k) {
    const std::size_t end = layout.inputs.block_end(k);
    if (end - begin > kF32Stretch)
      break;
    Kernel::decode(layout, tile, k, end, out + (k - begin) * kUniformTileRows);
    k = end;
  }
  return k;
}

/// `tiles` tiles from `tile` on times panels [first, last): activations, too many for the second-level cache, are read
/// once for all. Kernel::decode as in matmul_f32_driver.h; Kernel::multiply_panel(weights, count, x, tokens, y) adds
/// the products with a panel, x [k][tokens], to y, [token][32].
template <class Kernel>
EDGEQ_INLINE void matmul_f32_panels(const MatmulF32Prompt& product, std::size_t tile, std::size_t tiles,
                                    std::size_t first, std::size_t last) {
  const UniformLayout& layout = product.layout;
  const F32Panels& x = product.x;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  const std::size_t first_token = x.first_token(first), tokens = x.first_token(last) - first_token;
  alignas(64) float decoded[kF32Tiles][kF32Stretch * kUniformTileRows];
  alignas(64) float sums[kF32Tiles][kF32TokensPerPass * kUniformTileRows];
  for (std::size_t i = 0; i < tiles; ++i)
    __builtin_memset(sums[i], 0, tokens * kUniformTileRows * sizeof **sums);
  for (std::size_t begin = 0, end = 0; begin < layout.inputs.padded_k; begin = end) {
    for (std::size_t i = 0; i < tiles; ++i)
      end = decode_f32_stretch<Kernel>(layout, weights + i * layout.tile_bytes(), begin, decoded[i]);
    const std::size_t count = smaller(end, x.k) - begin, lines = layout.code_bytes(end - begin) / 64;
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t token = x.first_token(panel), size = x.panel_size(panel), done = panel - first;
      for (std::size_t i = 0; i < tiles; ++i) {
        Kernel::multiply_panel(decoded[i], count, x.values + token * x.k + begin * size, size,
                               sums[i] + (token - first_token) * kUniformTileRows);
        // While the multipliers work, nothing else fetches.
        const std::uint8_t* ahead = weights + i * layout.tile_bytes() + layout.code_offset(end);
        for (std::size_t line = lines * done / (last - first); line < lines * (done + 1) / (last - first); ++line)
          __builtin_prefetch(ahead + 64 * line, 0, 2);
      }
    }
  }
  for (std::size_t i = 0; i < tiles; ++i) {
    const std::size_t row = (tile + i) * kUniformTileRows, rows = smaller(kUniformTileRows, layout.n - row);
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t r = 0; r < rows; ++r)
        product.y[(first_token + t) * layout.n + row + r] =
            sums[i][t * kUniformTileRows + r] + (product.bias == nullptr ? 0.0F : product.bias[row + r]);
  }
}

template <class Kernel>
void matmul_f32_prompt_tiles(const MatmulF32Prompt& product, std::size_t first_tile, std::size_t last_tile) {
  const std::size_t panels = product.x.panels(), pass = kF32TokensPerPass / Kernel::kTokens;
  for (std::size_t tile = first_tile; tile < last_tile; tile += kF32Tiles)
    for (std::size_t panel = 0; panel < panels; panel += pass)
      matmul_f32_panels<Kernel>(product, tile, smaller(kF32Tiles, last_tile - tile), panel,
                                smaller(panel + pass, panels));
}

} // namespace
} // namespace edgeq::kernels
