// SPDX-License-Identifier: Apache-2.0
// Prompts: tiles are decoded to unsigned bytes, then as for every other format.
#include "matmul_a8_prompt_uniform.h"
#include "u8_block_avx512_vnni.h"

namespace edgeq::kernels {
namespace {

template <class Decoder> using Kernel = U8BlockVnni512<Decoder::kZeros>;

} // namespace

void matmul_f32_a8_uniform_7x32_avx512_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_uniform<Vector512, Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
