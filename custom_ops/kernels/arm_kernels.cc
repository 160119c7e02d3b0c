// SPDX-License-Identifier: Apache-2.0
#include "arm_kernels.h"

namespace edgeq::kernels {

const DintGemmKernels& dint_gemm_kernels_arm(Isa isa) {
  static constexpr DintGemmKernels neon{4, quantize_a8_neon, matmul_f32_a8_uniform_4x8_neon,
                                        matmul_f32_f32_uniform_8x8_neon};
  static constexpr DintGemmKernels dotprod{6, quantize_a8_neon, matmul_f32_a8_uniform_6x16_dotprod,
                                           matmul_f32_f32_uniform_8x8_neon};
  static constexpr DintGemmKernels i8mm{8, quantize_a8_neon, matmul_f32_a8_uniform_8x8_i8mm,
                                        matmul_f32_f32_uniform_8x8_neon};
  return isa == Isa::neon ? neon : isa == Isa::dotprod ? dotprod : i8mm;
}

const DintGemmKernels& codebook_gemm_kernels_arm(Isa isa) {
  static constexpr DintGemmKernels neon{4, quantize_a8_neon, matmul_f32_a8_codebook_4x8_neon,
                                        matmul_f32_f32_codebook_8x8_neon};
  static constexpr DintGemmKernels dotprod{6, quantize_a8_neon, matmul_f32_a8_codebook_6x16_dotprod,
                                           matmul_f32_f32_codebook_8x8_neon};
  static constexpr DintGemmKernels i8mm{8, quantize_a8_neon, matmul_f32_a8_codebook_8x8_i8mm,
                                        matmul_f32_f32_codebook_8x8_neon};
  return isa == Isa::neon ? neon : isa == Isa::dotprod ? dotprod : i8mm;
}

const LutGemmKernels& lut_gemm_kernels_arm(Isa) {
  // No ARM core was measured: these costs are llvm-mca's estimates for Neoverse-N1 (docs/operators.md) at 2.5 GHz.
  static constexpr LutGemmKernels neon{
      build_lut_neon, matmul_f32_lut_bcq_4x64_neon, false, matmul_f32_f32_bcq_8x8_neon, 8, {13, 23, 100, 150, 50}};
  return neon;
}

} // namespace edgeq::kernels
