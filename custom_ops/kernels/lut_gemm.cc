// SPDX-License-Identifier: Apache-2.0
#include "lut_gemm.h"

namespace edgeq::kernels {

const LutGemmKernels& lut_gemm_kernels(Isa isa) {
  static constexpr LutGemmKernels generic{
      build_lut_generic, matmul_f32_lut_bcq_1x64_generic, matmul_f32_f32_bcq_1x64_generic, {580, 830, 1200, 2200, 140}};
#if defined(__x86_64__)
  static constexpr LutGemmKernels avx2{
      build_lut_avx2, matmul_f32_lut_bcq_4x64_avx2, matmul_f32_f32_bcq_6x16_avx2, {6.5, 12, 60, 60, 19}};
  static constexpr LutGemmKernels avx512{
      build_lut_avx512, matmul_f32_lut_bcq_8x64_avx512, matmul_f32_f32_bcq_6x64_avx512, {3.2, 5.2, 24, 36, 12.6}};
  if (isa == Isa::avx2)
    return avx2;
  if (isa == Isa::avx512)
    return avx512;
#endif
  (void)isa;
  return generic;
}

bool multiplication_pays(const LutGemmCosts& costs, std::size_t planes, std::size_t table_bits, std::size_t tokens) {
  const auto plane_count = static_cast<double>(planes), token_count = static_cast<double>(tokens);
  const double lookup = (table_bits == 16 ? costs.lookup_16 : costs.lookup_8) * plane_count * token_count;
  return lookup > costs.decode + costs.decode_plane * plane_count + costs.multiply * token_count;
}

} // namespace edgeq::kernels
