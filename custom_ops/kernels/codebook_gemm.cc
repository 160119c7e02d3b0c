// SPDX-License-Identifier: Apache-2.0
#include "codebook_gemm.h"

#include "arm_kernels.h"

namespace edgeq::kernels {

const DintGemmKernels& codebook_gemm_kernels(Isa isa) {
  static constexpr DintGemmKernels generic{4, quantize_a8_generic, matmul_f32_a8_codebook_4x32_generic,
                                           matmul_f32_f32_codebook_1x32_generic};
#if defined(__x86_64__)
  static constexpr DintGemmKernels avx2{4,
                                        quantize_a8_avx2,
                                        matmul_f32_a8_codebook_4x16_avx2,
                                        matmul_f32_f32_codebook_6x16_avx2,
                                        SIZE_MAX,
                                        nullptr,
                                        6,
                                        matmul_f32_f32_codebook_prompt_6x16_avx2};
  static constexpr DintGemmKernels avx512{4,
                                          quantize_a8_avx512,
                                          matmul_f32_a8_codebook_4x16_avx2,
                                          matmul_f32_f32_codebook_12x32_avx512,
                                          SIZE_MAX,
                                          nullptr,
                                          12,
                                          matmul_f32_f32_codebook_prompt_12x32_avx512};
  static constexpr DintGemmKernels avx_vnni{6,
                                            quantize_a8_avx2,
                                            matmul_f32_a8_codebook_4x16_avx2,
                                            matmul_f32_f32_codebook_6x16_avx2,
                                            0,
                                            matmul_f32_a8_codebook_6x16_avx_vnni,
                                            6,
                                            matmul_f32_f32_codebook_prompt_6x16_avx2};
  static constexpr DintGemmKernels avx512_vnni{7,
                                               quantize_a8_avx512,
                                               matmul_f32_a8_codebook_1x32_avx512_vnni,
                                               matmul_f32_f32_codebook_12x32_avx512,
                                               1,
                                               matmul_f32_a8_codebook_7x32_avx512_vnni,
                                               12,
                                               matmul_f32_f32_codebook_prompt_12x32_avx512};
  static constexpr DintGemmKernels avx512_vbmi{7,
                                               quantize_a8_avx512,
                                               matmul_f32_a8_codebook_1x32_avx512_vbmi,
                                               matmul_f32_f32_codebook_12x32_avx512,
                                               1,
                                               matmul_f32_a8_codebook_7x32_avx512_vnni,
                                               12,
                                               matmul_f32_f32_codebook_prompt_12x32_avx512};
  static constexpr DintGemmKernels avx512_bf16 = with_bf16(avx512_vbmi);
  static constexpr DintGemmKernels amx = with_amx(avx512_vbmi, matmul_f32_a8_codebook_16x32_amx);
  return select_x86(isa, generic, avx2, avx_vnni, avx512, avx512_vnni, avx512_vbmi, avx512_bf16, amx);
#elif defined(__aarch64__)
  if (isa != Isa::generic)
    return codebook_gemm_kernels_arm(isa);
  return generic;
#else
  (void)isa;
  return generic;
#endif
}

} // namespace edgeq::kernels
