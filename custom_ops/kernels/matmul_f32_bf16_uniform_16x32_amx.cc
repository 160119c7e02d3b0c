// SPDX-License-Identifier: Apache-2.0
// Prompts with bfloat16 activations, every format of DintGemm, with AMX.
#include "bf16_block_amx.h"
#include "bf16_decoders_avx512.h"
#include "matmul_bf16_formats.h"

namespace edgeq::kernels {

void matmul_f32_bf16_uniform_16x32_amx(const MatmulBf16& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_bf16<Bf16Decoder, Bf16CodebookDecoder, Bf16BlockAmx>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
