// SPDX-License-Identifier: Apache-2.0
// Prompts with vpmaddubsw: bytes in two halves, whose products fit into 16 bits.
#include "bcq_vector_avx2.h"
#include "matmul_a8_bcq_driver.h"
#include "matmul_u8_pairs_block.h"

namespace edgeq::kernels {

void matmul_f32_a8_bcq_3x16_avx2(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_bcq<BcqVector256, U8Kernel<U8PairsBlock<BcqVector256, 255, false>, 3>>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
