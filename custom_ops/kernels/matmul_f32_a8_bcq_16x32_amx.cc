// SPDX-License-Identifier: Apache-2.0
// 16 tokens by 32 rows with AMX.
#include "bcq_vector_avx512.h"
#include "matmul_a8_bcq_driver.h"
#include "u8_block_amx.h"

namespace edgeq::kernels {

void matmul_f32_a8_bcq_16x32_amx(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_bcq<BcqVector512, U8BlockAmx<false>>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
