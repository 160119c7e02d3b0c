// SPDX-License-Identifier: Apache-2.0
// MatmulBcqA8 by decoding. Included by one source per instruction set.
#pragma once

#include "bcq_decode_tile.h"
#include "lut_gemm.h"
#include "matmul_u8_driver.h"

namespace edgeq::kernels {
namespace {

/// One half of a tile by all tokens.
template <class V, int kPlanes, class Kernel>
void matmul_a8_bcq_half(const MatmulBcqA8& product, std::size_t tile, int half) {
  const BcqLayout& layout = product.layout;
  const std::size_t row = tile * kBcqTileRows + kDecodedRows * static_cast<std::size_t>(half);
  const std::size_t panels = product.x.panels(), passes = (panels + kU8PanelsPerPass - 1) / kU8PanelsPerPass;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  const std::size_t bytes_left = (layout.tiles() - tile) * layout.tile_bytes();
  for (std::size_t pass = 0; pass < passes; ++pass)
    matmul_u8_rows<Kernel>(
        {layout.inputs, layout.n, product.x, product.bias, product.y}, row, panels * pass / passes,
        panels * (pass + 1) / passes,
        [&](std::size_t begin, std::size_t end, DecodedTile& decoded) __attribute__((always_inline)) {
          BcqTileDecoder<V, kPlanes>::run(layout, weights, half, begin, end, decoded);
          const std::size_t next = smaller(layout.plane_offset(end), bytes_left);
          return U8Ahead{weights + next, smaller(layout.plane_bytes(end - begin), bytes_left - next) / 64};
        });
}

/// Tiles [first, last) by all tokens.
template <class V, class Kernel>
EDGEQ_INLINE void matmul_a8_bcq(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  using Function = void (*)(const MatmulBcqA8&, std::size_t, int);
  constexpr Function kByPlanes[] = {matmul_a8_bcq_half<V, 1, Kernel>, matmul_a8_bcq_half<V, 2, Kernel>,
                                    matmul_a8_bcq_half<V, 3, Kernel>, matmul_a8_bcq_half<V, 4, Kernel>};
  const Function multiply = kByPlanes[product.layout.planes - 1];
  for (std::size_t tile = first_tile; tile < last_tile; ++tile)
    for (int half = 0; half < 2; ++half)
      if (tile * kBcqTileRows + kDecodedRows * static_cast<std::size_t>(half) < product.layout.n)
        multiply(product, tile, half);
}

} // namespace
} // namespace edgeq::kernels
