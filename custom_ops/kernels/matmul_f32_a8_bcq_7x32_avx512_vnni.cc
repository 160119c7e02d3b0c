// SPDX-License-Identifier: Apache-2.0
// 7 tokens by 32 rows with 512-bit vpdpbusd.
#include "bcq_vector_avx512.h"
#include "matmul_a8_bcq_driver.h"
#include "u8_block_avx512_vnni.h"

namespace edgeq::kernels {

void matmul_f32_a8_bcq_7x32_avx512_vnni(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_bcq<BcqVector512, U8BlockVnni512<false>>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
