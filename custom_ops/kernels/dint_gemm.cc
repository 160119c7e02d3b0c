// SPDX-License-Identifier: Apache-2.0
#include "dint_gemm.h"

namespace edgeq::kernels {

const DintGemmKernels& dint_gemm_kernels(Isa isa) {
  static constexpr DintGemmKernels generic{4, quantize_a8_generic, matmul_f32_a8_uniform_4x32_generic,
                                           matmul_f32_f32_uniform_1x32_generic};
#if defined(__x86_64__)
  static constexpr DintGemmKernels avx2{4, quantize_a8_avx2, matmul_f32_a8_uniform_4x16_avx2,
                                        matmul_f32_f32_uniform_6x16_avx2};
  static constexpr DintGemmKernels avx512{6, quantize_a8_avx512, matmul_f32_a8_uniform_6x32_avx512,
                                          matmul_f32_f32_uniform_12x32_avx512};
  if (isa == Isa::avx2)
    return avx2;
  if (isa == Isa::avx512)
    return avx512;
#endif
  (void)isa;
  return generic;
}

} // namespace edgeq::kernels
