// SPDX-License-Identifier: Apache-2.0
#include "lut_gemm.h"

#include "arm_kernels.h"

namespace edgeq::kernels {

#if defined(__x86_64__)
namespace {

/// Measured: prefetch instructions make one token 10 to 20 % faster on Sapphire Rapids, whose own prefetchers follow
/// full 512-bit loads badly, and up to 50 % slower on Zen 4.
bool prefetch_pays() {
  __builtin_cpu_init();
  return __builtin_cpu_is("intel") != 0;
}

} // namespace
#endif

const LutGemmKernels& lut_gemm_kernels(Isa isa) {
  static constexpr LutGemmKernels generic{
      build_lut_generic,          matmul_f32_lut_bcq_1x64_generic, false, matmul_f32_f32_bcq_1x64_generic, 1,
      {580, 830, 1200, 2200, 140}};
#if defined(__x86_64__)
  static const LutGemmKernels avx2{
      build_lut_avx2,       matmul_f32_lut_bcq_4x64_avx2, prefetch_pays(), matmul_f32_f32_bcq_6x16_avx2, 6,
      {6.5, 12, 60, 60, 19}};
  static const LutGemmKernels avx512{
      build_lut_avx512,     matmul_f32_lut_bcq_8x64_avx512, prefetch_pays(), matmul_f32_f32_bcq_6x64_avx512, 6,
      {6.5, 12, 24, 36, 12}};
  static const LutGemmKernels avx512_vbmi{
      build_lut_avx512,      matmul_f32_lut_bcq_8x64_avx512_vbmi, prefetch_pays(), matmul_f32_f32_bcq_6x64_avx512, 6,
      {2.5, 4.9, 24, 36, 12}};
  switch (isa) {
  case Isa::avx2:
  case Isa::avx_vnni:
    return avx2;
  case Isa::avx512:
  case Isa::avx512_vnni:
    return avx512;
  case Isa::avx512_vbmi:
    return avx512_vbmi;
  default:
    return generic;
  }
#elif defined(__aarch64__)
  if (isa != Isa::generic)
    return lut_gemm_kernels_arm(isa);
#endif
  (void)isa;
  return generic;
}

bool multiplication_pays(const LutGemmCosts& costs, std::size_t planes, std::size_t table_bits, std::size_t tokens) {
  const auto plane_count = static_cast<double>(planes), token_count = static_cast<double>(tokens);
  const double lookup = (table_bits == 16 ? costs.lookup_16 : costs.lookup_8) * plane_count * token_count;
  return lookup > costs.decode + costs.decode_plane * plane_count + costs.multiply * token_count;
}

void pack_panels(const float* x, std::size_t k, std::size_t tokens, std::size_t panel_tokens, std::size_t first,
                 std::size_t last, float* panels) {
  for (std::size_t token = first * panel_tokens; token < smaller(last * panel_tokens, tokens); token += panel_tokens) {
    const std::size_t size = smaller(panel_tokens, tokens - token);
    float* out = panels + token * k;
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t t = 0; t < size; ++t)
        *out++ = x[(token + t) * k + i];
  }
}

} // namespace edgeq::kernels
