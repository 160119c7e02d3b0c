// SPDX-License-Identifier: Apache-2.0
// Y = addend + X · Sᵀ with a sparse S in compressed rows: few entries, float16.
#pragma once

#include "compiler.h"
#include "isa.h"

namespace edgeq::kernels {

inline constexpr std::size_t kSparsePanelTokens = 16;

/// S [n, k]: entries [row_pointers[i], row_pointers[i + 1]) belong to row i. Trivially copyable.
struct CsrMatrix {
  std::size_t n, k;
  const std::int32_t* row_pointers; // [n + 1], not descending
  const std::uint16_t* columns;     // [entries], below k
  const std::uint16_t* values;      // [entries], float16 bits
};

/// The sum of a row is taken in the order of its entries, products rounded to float32 first, then added to the addend:
/// every instruction set and every number of tokens gives the same bits.
struct MatmulCsr {
  CsrMatrix weights;
  const float* x; // [tokens, k]; from kSparsePanelTokens tokens on panels [panel][k][kSparsePanelTokens]
  std::size_t tokens;
  const float* addend; // [tokens, n], or null
  float* y;            // [tokens, n]
};

/// Panels of kSparsePanelTokens tokens, the last one filled with zeros, pay from that many tokens on.
EDGEQ_INLINE bool uses_sparse_panels(std::size_t tokens) { return tokens >= kSparsePanelTokens; }
EDGEQ_INLINE std::size_t sparse_panels(std::size_t tokens) {
  return (tokens + kSparsePanelTokens - 1) / kSparsePanelTokens;
}

struct SparseGemmKernels {
  /// Writes panels [first, last) of x, [tokens, k].
  void (*arrange)(const float* x, std::size_t tokens, std::size_t k, float* panels, std::size_t first,
                  std::size_t last);
  /// Computes rows [first, last) of S for every token.
  void (*matmul)(const MatmulCsr& product, std::size_t first, std::size_t last);
};

/// The kernels of an instruction set; only for one of available_isas().
const SparseGemmKernels& sparse_gemm_kernels(Isa isa);

void arrange_f32_16_generic(const float*, std::size_t, std::size_t, float*, std::size_t, std::size_t);
void matmul_f32_f32_csr_16x1_generic(const MatmulCsr&, std::size_t, std::size_t);
#if defined(__x86_64__)
void matmul_f32_f32_csr_16x1_avx2(const MatmulCsr&, std::size_t, std::size_t);
#endif

} // namespace edgeq::kernels
