// SPDX-License-Identifier: Apache-2.0
// Prompts with 512-bit vpmaddubsw: bytes in two halves, whose products fit into 16 bits.
#include "bcq_vector_avx512.h"
#include "matmul_a8_bcq_driver.h"
#include "matmul_u8_pairs_block.h"

namespace edgeq::kernels {

void matmul_f32_a8_bcq_6x32_avx512(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_bcq<BcqVector512, U8Kernel<U8PairsBlock<BcqVector512, 255, false>, 6>>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
