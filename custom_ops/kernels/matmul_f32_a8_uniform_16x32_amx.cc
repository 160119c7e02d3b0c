// SPDX-License-Identifier: Apache-2.0
// Prompts with AMX.
#include "matmul_a8_prompt_uniform.h"
#include "u8_block_amx.h"

namespace edgeq::kernels {
namespace {

template <class Decoder> using Kernel = U8BlockAmx<Decoder::kZeros>;

} // namespace

void matmul_f32_a8_uniform_16x32_amx(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_uniform<Vector512, Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
