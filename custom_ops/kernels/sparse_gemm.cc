// SPDX-License-Identifier: Apache-2.0
#include "sparse_gemm.h"

namespace edgeq::kernels {

const SparseGemmKernels& sparse_gemm_kernels(Isa isa) {
  static constexpr SparseGemmKernels generic{arrange_f32_16_generic, matmul_f32_f32_csr_16x1_generic};
#if defined(__x86_64__)
  // Bound by loads of single activations, which wider vectors do not speed up.
  static constexpr SparseGemmKernels avx2{arrange_f32_16_generic, matmul_f32_f32_csr_16x1_avx2};
  if (isa != Isa::generic)
    return avx2;
#endif
  (void)isa;
  return generic;
}

void arrange_f32_16_generic(const float* x, std::size_t tokens, std::size_t k, float* panels, std::size_t first,
                            std::size_t last) {
  for (std::size_t panel = first; panel < last; ++panel) {
    float* out = panels + panel * k * kSparsePanelTokens;
    for (std::size_t t = 0; t < kSparsePanelTokens; ++t) {
      const std::size_t token = panel * kSparsePanelTokens + t;
      for (std::size_t i = 0; i < k; ++i)
        out[i * kSparsePanelTokens + t] = token < tokens ? x[token * k + i] : 0.0F;
    }
  }
}

} // namespace edgeq::kernels
