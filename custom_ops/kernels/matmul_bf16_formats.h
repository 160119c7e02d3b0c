// SPDX-License-Identifier: Apache-2.0
// MatmulBf16 with every format of DintGemm. Included by one source per kernel.
#pragma once

#include "codebook_dispatch.h"
#include "matmul_bf16_driver.h"
#include "uniform_dispatch.h"

namespace edgeq::kernels {
namespace {

/// Decoder and CodebookDecoder as matmul_bf16_tile() wants them; Kernel is the register block.
template <template <int, bool, int> class Decoder, template <int> class CodebookDecoder, class Kernel>
EDGEQ_INLINE void matmul_bf16(const MatmulBf16& product, std::size_t first_tile, std::size_t last_tile) {
  const auto multiply = [&](auto decoder) __attribute__((always_inline)) {
    matmul_bf16_tiles<decltype(decoder), Kernel>(product, first_tile, last_tile);
  };
  product.layout.codebook ? for_codebook<CodebookDecoder>(product.layout, multiply)
                          : for_format<Decoder>(product.layout, multiply);
}

} // namespace
} // namespace edgeq::kernels
