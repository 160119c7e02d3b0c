// SPDX-License-Identifier: Apache-2.0
#include "lut_gemm.h"

#include "arm_kernels.h"
#include "bcq_levels.h"
#include "decoded_tile.h"
#include "dint_gemm.h"

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

// With vpmaddubsw, decoded bytes took 14 and 20.5 ps per weight and token, more than floats (AVX-512, AVX2): no kernel.
const LutGemmKernels& lut_gemm_kernels(Isa isa) {
  static constexpr LutGemmKernels generic{build_lut_generic,
                                          matmul_f32_lut_bcq_1x64_generic,
                                          false,
                                          matmul_f32_f32_bcq_1x64_generic,
                                          1,
                                          {580, 830, 1200, 2200, 140, 0, 0, 3000},
                                          quantize_a8_generic,
                                          matmul_f32_a8_bcq_4x64_generic,
                                          4};
#if defined(__x86_64__)
  static const LutGemmKernels avx2{
      build_lut_avx2,        matmul_f32_lut_bcq_4x64_avx2, prefetch_pays(), matmul_f32_f32_bcq_6x16_avx2, 6,
      {6.5, 12.3, 0, 70, 20}};
  static const LutGemmKernels avx_vnni{build_lut_avx2,
                                       matmul_f32_lut_bcq_4x64_avx2,
                                       prefetch_pays(),
                                       matmul_f32_f32_bcq_6x16_avx2,
                                       6,
                                       {6.5, 12.3, 0, 70, 20, 0, 17, 5.8},
                                       quantize_a8_avx2,
                                       matmul_f32_a8_bcq_6x16_avx_vnni,
                                       6};
  static const LutGemmKernels avx512{
      build_lut_avx512,       matmul_f32_lut_bcq_8x64_avx512, prefetch_pays(), matmul_f32_f32_bcq_6x64_avx512, 6,
      {4.6, 8.6, 0, 34, 12.5}};
  static const LutGemmKernels avx512_vbmi{build_lut_avx512,
                                          matmul_f32_lut_bcq_8x64_avx512_vbmi,
                                          prefetch_pays(),
                                          matmul_f32_f32_bcq_6x64_avx512,
                                          6,
                                          {2.8, 4.8, 0, 34, 12.5, 2, 7, 4.1},
                                          quantize_a8_avx512,
                                          matmul_f32_a8_bcq_7x32_avx512_vnni,
                                          7};
  static const LutGemmKernels amx{build_lut_avx512,
                                  matmul_f32_lut_bcq_8x64_avx512_vbmi,
                                  prefetch_pays(),
                                  matmul_f32_f32_bcq_6x64_avx512,
                                  6,
                                  {2.8, 4.8, 0, 34, 12.5, 11, 9, 1},
                                  quantize_a8_avx512,
                                  matmul_f32_a8_bcq_16x32_amx,
                                  16,
                                  true};
  static const LutGemmKernels avx512_vnni{build_lut_avx512,
                                          matmul_f32_lut_bcq_8x64_avx512,
                                          prefetch_pays(),
                                          matmul_f32_f32_bcq_6x64_avx512,
                                          6,
                                          {4.6, 8.6, 0, 34, 12.5, 2, 7, 4.2},
                                          quantize_a8_avx512,
                                          matmul_f32_a8_bcq_7x32_avx512_vnni,
                                          7};
  return select_x86(isa, generic, avx2, avx_vnni, avx512, avx512_vnni, avx512_vbmi, avx512_vbmi, amx);
#elif defined(__aarch64__)
  if (isa != Isa::generic)
    return lut_gemm_kernels_arm(isa);
  return generic;
#else
  (void)isa;
  return generic;
#endif
}

LutGemmProduct fastest_product(const LutGemmCosts& costs, std::size_t planes, std::size_t table_bits,
                               std::size_t tokens) {
  const auto plane_count = static_cast<double>(planes), token_count = static_cast<double>(tokens);
  const auto codes = static_cast<double>(std::size_t{1} << planes);
  const double lookup = (table_bits == 16 ? costs.lookup_16 : costs.lookup_8) * plane_count * token_count;
  const double floats = costs.decode + costs.decode_plane * plane_count + costs.multiply * token_count;
  const double bytes = costs.decode_a8 + costs.decode_a8_code * codes + costs.multiply_a8 * token_count;
  if (table_bits == 8 && bytes < lookup && bytes < floats)
    return LutGemmProduct::multiply_a8;
  return floats < lookup ? LutGemmProduct::multiply_f32 : LutGemmProduct::lookup;
}

A8Panels bcq_panels(const LutGemmKernels& kernels, A8Panels panels) {
  panels.by_token = kernels.a8_by_token;
  panels.sum_start = kIntegerFloatBits;
  panels.sum_factor = -kBcqByteCentre;
  return panels;
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
