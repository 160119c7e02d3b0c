// SPDX-License-Identifier: Apache-2.0
// Prompts with bfloat16 activations, every format of DintGemm, with bfmmla.
#include "bf16_block_bf16.h"
#include "bf16_decoders_neon.h"
#include "matmul_bf16_formats.h"

namespace edgeq::kernels {

void matmul_f32_bf16_uniform_8x8_bf16(const MatmulBf16& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_bf16<Bf16Decoder, Bf16CodebookDecoder, Bf16BlockBf16>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
