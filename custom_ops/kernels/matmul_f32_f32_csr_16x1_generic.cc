// SPDX-License-Identifier: Apache-2.0
#include "half.h"
#include "matmul_csr_driver.h"

namespace edgeq::kernels {
namespace {

struct Portable {
  EDGEQ_MEMBER static float value(std::uint16_t bits) { return half_to_float(bits); }
};

} // namespace

void matmul_f32_f32_csr_16x1_generic(const MatmulCsr& product, std::size_t first, std::size_t last) {
  matmul_csr_rows<Portable>(product, first, last);
}

} // namespace edgeq::kernels
