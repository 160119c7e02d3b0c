// SPDX-License-Identifier: Apache-2.0
#include "codebook_gemm.h"

namespace edgeq::kernels {

const DintGemmKernels& codebook_gemm_kernels(Isa isa) {
  static constexpr DintGemmKernels generic{4, quantize_a8_generic, matmul_f32_a8_codebook_4x32_generic,
                                           matmul_f32_f32_codebook_1x32_generic};
  (void)isa;
  return generic;
}

} // namespace edgeq::kernels
