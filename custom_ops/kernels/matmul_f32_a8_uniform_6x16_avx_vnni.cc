// SPDX-License-Identifier: Apache-2.0
// Prompts with 256-bit vpdpbusd.
#include "matmul_a8_prompt_uniform.h"
#include "u8_block_avx_vnni.h"

namespace edgeq::kernels {
namespace {

template <class Decoder> using Kernel = U8Kernel<U8DotBlock<Vnni256, Decoder::kZeros>, 6>;

} // namespace

void matmul_f32_a8_uniform_6x16_avx_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_uniform<Vector256, Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
