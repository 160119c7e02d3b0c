// SPDX-License-Identifier: Apache-2.0
#include "dint_gemm.h"

#include "arm_kernels.h"
#include "codebook_fields.h"
#include "decoded_tile.h"

namespace edgeq::kernels {
namespace {

#if defined(__x86_64__)
constexpr DintGemmKernels with_pairs(DintGemmKernels kernels) {
  kernels.pairs = true;
  return kernels;
}

constexpr DintGemmKernels with_few_tokens_kernels(DintGemmKernels kernels, MatmulA8Function one, MatmulA8Function few) {
  kernels.matmul_a8_token = one;
  kernels.matmul_a8 = few;
  return kernels;
}
#endif

} // namespace

const DintGemmKernels& dint_gemm_kernels(Isa isa) {
  static constexpr DintGemmKernels generic{4, quantize_a8_generic, matmul_f32_a8_uniform_4x32_generic,
                                           matmul_f32_f32_uniform_1x32_generic};
#if defined(__x86_64__)
  static constexpr DintGemmKernels avx2 =
      with_pairs({3, quantize_a8_avx2, matmul_f32_a8_uniform_4x16_avx2, matmul_f32_f32_uniform_6x16_avx2, 3,
                  matmul_f32_a8_uniform_3x16_avx2, 6, matmul_f32_f32_uniform_prompt_6x16_avx2});
  static constexpr DintGemmKernels avx_vnni{6,
                                            quantize_a8_avx2,
                                            matmul_f32_a8_uniform_4x16_avx_vnni,
                                            matmul_f32_f32_uniform_6x16_avx2,
                                            4,
                                            matmul_f32_a8_uniform_6x16_avx_vnni,
                                            6,
                                            matmul_f32_f32_uniform_prompt_6x16_avx2};
  static constexpr DintGemmKernels avx512 =
      with_pairs({6, quantize_a8_avx512, matmul_f32_a8_uniform_4x16_avx2, matmul_f32_f32_uniform_4x32_avx512, 4,
                  matmul_f32_a8_uniform_6x32_avx512, 12, matmul_f32_f32_uniform_12x32_avx512});
  static constexpr DintGemmKernels avx512_vnni{7,
                                               quantize_a8_avx512,
                                               matmul_f32_a8_uniform_6x32_avx512_vnni,
                                               matmul_f32_f32_uniform_4x32_avx512,
                                               6,
                                               matmul_f32_a8_uniform_7x32_avx512_vnni,
                                               12,
                                               matmul_f32_f32_uniform_12x32_avx512};
  static constexpr DintGemmKernels avx512_vnni_token = with_few_tokens_kernels(
      avx512_vnni, matmul_f32_a8_uniform_1x64_avx512_vnni, matmul_f32_a8_uniform_6x32_avx512_vnni);
  static constexpr DintGemmKernels avx512_vbmi = with_few_tokens_kernels(
      avx512_vnni, matmul_f32_a8_uniform_1x64_avx512_vbmi, matmul_f32_a8_uniform_6x32_avx512_vbmi);
  static constexpr DintGemmKernels avx512_bf16 = with_bf16(avx512_vbmi);
  static constexpr DintGemmKernels amx = with_amx(avx512_vbmi, matmul_f32_a8_uniform_16x32_amx);
  return select_x86(isa, generic, avx2, avx_vnni, avx512, avx512_vnni_token, avx512_vbmi, avx512_bf16, amx);
#elif defined(__aarch64__)
  if (isa != Isa::generic)
    return dint_gemm_kernels_arm(isa);
  return generic;
#else
  (void)isa;
  return generic;
#endif
}

A8Panels panels_for(const DintGemmKernels& kernels, const UniformLayout& layout, A8Panels panels) {
  panels.by_token = kernels.by_token && kernels.is_prompt(panels.tokens);
  const auto bits = static_cast<int>(layout.bits);
  const bool zeros_apart = (layout.has_zero_point && bits == 8) || // the kernel needs the sums themselves
                           (kernels.pairs && dint_from_zero(bits, layout.has_zero_point, layout.dint));
  if (kernels.is_prompt(panels.tokens) && !zeros_apart) {
    panels.sum_start = kIntegerFloatBits;
    panels.sum_factor = -(layout.codebook ? kCodebookCentre : decoded_centre(bits, layout.has_zero_point, layout.dint));
  }
  return panels;
}

} // namespace edgeq::kernels
