// SPDX-License-Identifier: Apache-2.0
// The loops of MatmulBf16: a stretch of a tile is decoded to bfloat16 once, then multiplied with every panel. Included
// by one source per kernel.
#pragma once

#include "bf16_block.h"
#include "dint_gemm.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kBf16PanelsPerPass = 16;

/// End of a stretch of inputs from `begin`: whole groups, or whole blocks of a long group.
EDGEQ_INLINE std::size_t bf16_stretch_end(const Grouping& inputs, std::size_t begin) {
  const std::size_t group = begin / inputs.group_size;
  if (inputs.group_size > kBf16Inputs)
    return smaller(begin + kBf16Inputs, inputs.group_end(group));
  return inputs.group_end(group + kBf16Inputs / inputs.group_size - 1);
}

/// The products of one tile with panels [first, last). Decoder::run(layout, weights, begin, end, bytes, tile) decodes
/// inputs [begin, end), which lie on boundaries of activation blocks, to `tile`, and writes the blocks, counts and
/// scales of `bytes`; kernel.run(Bf16Block, tokens) is the register block, kernel.finish() its end.
template <class Decoder, class Kernel>
void matmul_bf16_tile(const MatmulBf16& product, std::size_t tile, std::size_t first, std::size_t last) {
  const UniformLayout& layout = product.layout;
  const Grouping& inputs = layout.inputs;
  const Bf16Panels& x = product.x;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  const std::size_t bytes_left = (layout.tiles() - tile) * layout.tile_bytes();
  const std::size_t first_token = x.first_token(first), tokens = x.first_token(last) - first_token;
  DecodedTile bytes;
  Bf16Tile decoded;
  Kernel kernel;
  alignas(64) float sums[kBf16PanelsPerPass * Kernel::kTokens * kUniformTileRows];
  __builtin_memset(sums, 0, tokens * kUniformTileRows * sizeof *sums);
  for (std::size_t begin = 0, end = 0; begin < inputs.padded_k; begin = end) {
    end = bf16_stretch_end(inputs, begin);
    Decoder::run(layout, weights, begin, end, bytes, decoded);
    const std::uint8_t* ahead = weights + smaller(layout.code_offset(end), bytes_left);
    const std::size_t lines =
        smaller(layout.code_bytes(end - begin), bytes_left - smaller(layout.code_offset(end), bytes_left)) / 64;
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t token = x.first_token(panel), size = x.panel_size(panel), done = panel - first;
      kernel.run({&bytes, &decoded, x.values + token * x.padded_k + begin * size,
                  sums + (token - first_token) * kUniformTileRows},
                 size);
      for (std::size_t line = lines * done / (last - first); line < lines * (done + 1) / (last - first); ++line)
        __builtin_prefetch(ahead + 64 * line, 0, 2); // while the multipliers work, nothing else fetches
    }
  }
  kernel.finish();
  const std::size_t row = tile * kUniformTileRows, rows = smaller(kUniformTileRows, layout.n - row);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t r = 0; r < rows; ++r)
      product.y[(first_token + t) * layout.n + row + r] =
          sums[t * kUniformTileRows + r] + (product.bias == nullptr ? 0.0F : product.bias[row + r]);
}

/// Passes over the panels are as even as possible.
template <class Decoder, class Kernel>
void matmul_bf16_tiles(const MatmulBf16& product, std::size_t first_tile, std::size_t last_tile) {
  const std::size_t panels = product.x.panels(), passes = (panels + kBf16PanelsPerPass - 1) / kBf16PanelsPerPass;
  for (std::size_t tile = first_tile; tile < last_tile; ++tile)
    for (std::size_t pass = 0; pass < passes; ++pass)
      matmul_bf16_tile<Decoder, Kernel>(product, tile, panels * pass / passes, panels * (pass + 1) / passes);
}

} // namespace
} // namespace edgeq::kernels
