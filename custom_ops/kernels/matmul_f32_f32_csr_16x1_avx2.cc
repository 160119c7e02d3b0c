// SPDX-License-Identifier: Apache-2.0
#include "matmul_csr_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

struct F16c {
  EDGEQ_MEMBER static float value(std::uint16_t bits) { return _cvtsh_ss(bits); }
};

} // namespace

void matmul_f32_f32_csr_16x1_avx2(const MatmulCsr& product, std::size_t first, std::size_t last) {
  matmul_csr_rows<F16c>(product, first, last);
}

} // namespace edgeq::kernels
