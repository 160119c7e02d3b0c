// SPDX-License-Identifier: Apache-2.0
// MatmulBf16 with every format of DintGemm. Included by one source per kernel.
#pragma once

#include "codebook_avx512.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_bf16_driver.h"
#include "uniform_decode_tile.h"
#include "uniform_dispatch.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint>
struct Bf16Decoder : UniformTileDecoder<Vector512, Bits, ZeroPoint, Dint> {};

template <int Bits> struct Bf16CodebookDecoder : CodebookTileDecoder<CodebookVector512, Bits, kCodebookCentre> {
  static constexpr int kLargest = 255;
};

/// Kernel is the register block.
template <class Kernel>
EDGEQ_INLINE void matmul_bf16(const MatmulBf16& product, std::size_t first_tile, std::size_t last_tile) {
  const UniformLayout& layout = product.layout;
  if (layout.codebook)
    return for_codebook<Bf16CodebookDecoder>(layout, [&](auto decoder) __attribute__((always_inline)) {
      matmul_bf16_tiles<decltype(decoder), Kernel>(product, kCodebookCentre, first_tile, last_tile);
    });
  const int centre = decoded_centre(static_cast<int>(layout.bits), layout.has_zero_point, layout.dint);
  for_format<Bf16Decoder>(layout, [&](auto decoder) __attribute__((always_inline)) {
    matmul_bf16_tiles<decltype(decoder), Kernel>(product, centre, first_tile, last_tile);
  });
}

} // namespace
} // namespace edgeq::kernels
