// SPDX-License-Identifier: Apache-2.0
// MatmulA8 of codebooks on 64-bit ARM, through decoded tiles.
#pragma once

#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "codebook_neon.h"
#include "decoded_block_neon.h"
#include "matmul_a8_prompt_driver.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct CodebookDecoder128 : CodebookTileDecoder<CodebookVector128, Bits, 0> {};

/// Tiles [first_tile, last_tile) of a codebook, by `Multiply`.
template <class Multiply>
EDGEQ_INLINE void matmul_codebook_tiles(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<CodebookDecoder128>(product.layout, [&](auto decoder) __attribute__((always_inline)) {
    matmul_a8_prompt<decltype(decoder), DecodedKernel<Multiply, 0>>(product, first_tile, last_tile);
  });
}

} // namespace
} // namespace edgeq::kernels
