// SPDX-License-Identifier: Apache-2.0
// 6 tokens by 16 rows with 256-bit vpdpbusd.
#include "bcq_vector_avx2.h"
#include "matmul_a8_bcq_driver.h"
#include "u8_block_avx_vnni.h"

namespace edgeq::kernels {

void matmul_f32_a8_bcq_6x16_avx_vnni(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_bcq<BcqVector256, U8Kernel<U8DotBlock<Vnni256, false>, 6>>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
