// SPDX-License-Identifier: Apache-2.0
// Prompts with 512-bit vpmaddubsw.
#include "matmul_a8_prompt_uniform.h"
#include "matmul_u8_pairs_block.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

template <class Decoder> using Kernel = U8Kernel<U8PairsBlock<Vector512, Decoder::kLargest, Decoder::kZeros>, 6>;

} // namespace

void matmul_f32_a8_uniform_6x32_avx512(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_pairs<Vector512, Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
