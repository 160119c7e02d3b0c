// SPDX-License-Identifier: Apache-2.0
#include "arm_kernels.h"

namespace edgeq::kernels {
namespace {

constexpr DintGemmKernels with_bf16(DintGemmKernels kernels) {
  kernels.bf16 = {4, 8, pack_bf16_bf16, matmul_f32_bf16_uniform_8x8_bf16, kBf16ShortRun};
  return kernels;
}

const DintGemmKernels& select(Isa isa, const DintGemmKernels& neon, const DintGemmKernels& dotprod,
                              const DintGemmKernels& i8mm, const DintGemmKernels& bf16) {
  return isa == Isa::neon ? neon : isa == Isa::dotprod ? dotprod : isa == Isa::i8mm ? i8mm : bf16;
}

} // namespace

const DintGemmKernels& dint_gemm_kernels_arm(Isa isa) {
  static constexpr DintGemmKernels neon{4, quantize_a8_neon, matmul_f32_a8_uniform_4x8_neon,
                                        matmul_f32_f32_uniform_8x8_neon};
  static constexpr DintGemmKernels dotprod{6, quantize_a8_neon, matmul_f32_a8_uniform_6x16_dotprod,
                                           matmul_f32_f32_uniform_8x8_neon};
  static constexpr DintGemmKernels i8mm{8, quantize_a8_neon, matmul_f32_a8_uniform_8x8_i8mm,
                                        matmul_f32_f32_uniform_8x8_neon};
  static constexpr DintGemmKernels bf16 = with_bf16(i8mm);
  return select(isa, neon, dotprod, i8mm, bf16);
}

const DintGemmKernels& codebook_gemm_kernels_arm(Isa isa) {
  static constexpr DintGemmKernels neon{4, quantize_a8_neon, matmul_f32_a8_codebook_4x8_neon,
                                        matmul_f32_f32_codebook_8x8_neon};
  static constexpr DintGemmKernels dotprod{6, quantize_a8_neon, matmul_f32_a8_codebook_6x16_dotprod,
                                           matmul_f32_f32_codebook_8x8_neon};
  static constexpr DintGemmKernels i8mm{8, quantize_a8_neon, matmul_f32_a8_codebook_8x8_i8mm,
                                        matmul_f32_f32_codebook_8x8_neon};
  static constexpr DintGemmKernels bf16 = with_bf16(i8mm);
  return select(isa, neon, dotprod, i8mm, bf16);
}

const LutGemmKernels& lut_gemm_kernels_arm(Isa isa) {
  // No ARM core was measured: these costs are estimates at 2.5 GHz, of llvm-mca (docs/operators.md) and, for decoding,
  // by counting instructions. By smlal, products with int8 activations cost more than lookups.
  static constexpr LutGemmKernels neon{
      build_lut_neon, matmul_f32_lut_bcq_4x64_neon, false, matmul_f32_f32_bcq_8x8_neon, 8, {12.5, 24.6, 100, 150, 94}};
  static constexpr LutGemmKernels dotprod{build_lut_neon,
                                          matmul_f32_lut_bcq_4x64_neon,
                                          false,
                                          matmul_f32_f32_bcq_8x8_neon,
                                          8,
                                          {12.5, 24.6, 100, 150, 94, 60, 12.5, 19},
                                          quantize_a8_neon,
                                          matmul_f32_a8_bcq_6x16_dotprod,
                                          6};
  static constexpr LutGemmKernels i8mm{build_lut_neon,
                                       matmul_f32_lut_bcq_4x64_neon,
                                       false,
                                       matmul_f32_f32_bcq_8x8_neon,
                                       8,
                                       {12.5, 24.6, 100, 150, 94, 60, 12.5, 11},
                                       quantize_a8_neon,
                                       matmul_f32_a8_bcq_8x8_i8mm,
                                       8};
  return isa == Isa::neon ? neon : isa == Isa::dotprod ? dotprod : i8mm;
}

} // namespace edgeq::kernels
