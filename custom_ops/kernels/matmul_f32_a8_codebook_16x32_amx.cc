// SPDX-License-Identifier: Apache-2.0
// Prompts: tiles are decoded to unsigned bytes, then as for every other format.
#include "codebook_avx512.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_a8_prompt_driver.h"
#include "u8_block_amx.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Decoder : CodebookTileDecoder<CodebookVector512, Bits, kCodebookCentre> {};

} // namespace

void matmul_f32_a8_codebook_16x32_amx(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Decoder>(product.layout, [&](auto decoder) __attribute__((always_inline)) {
    matmul_a8_prompt<decltype(decoder), U8BlockAmx<false>>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
