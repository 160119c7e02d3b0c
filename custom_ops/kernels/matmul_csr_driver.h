// SPDX-License-Identifier: Apache-2.0
// The loops of MatmulCsr. Included by one source per instruction set, with its conversion of float16.
#pragma once

#include "sparse_gemm.h"

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE void store_sum(const MatmulCsr& product, std::size_t token, std::size_t row, float sum) {
  const std::size_t index = token * product.weights.n + row;
  product.y[index] = product.addend == nullptr ? sum : product.addend[index] + sum;
}

/// Half::value(bits) converts a float16.
template <class Half> void matmul_csr_token(const MatmulCsr& product, std::size_t token, std::size_t row) {
  const CsrMatrix& s = product.weights;
  const float* x = product.x + token * s.k;
  float sum = 0;
  for (std::int32_t i = s.row_pointers[row]; i < s.row_pointers[row + 1]; ++i)
    sum += Half::value(s.values[i]) * x[s.columns[i]];
  store_sum(product, token, row, sum);
}

template <class Half> void matmul_csr_panel(const MatmulCsr& product, std::size_t panel, std::size_t row) {
  const CsrMatrix& s = product.weights;
  const float* x = product.x + panel * s.k * kSparsePanelTokens;
  float sums[kSparsePanelTokens] = {};
  for (std::int32_t i = s.row_pointers[row]; i < s.row_pointers[row + 1]; ++i) {
    const float value = Half::value(s.values[i]);
    const float* column = x + s.columns[i] * kSparsePanelTokens;
    EDGEQ_UNROLL for (std::size_t t = 0; t < kSparsePanelTokens; ++t) sums[t] += value * column[t];
  }
  const std::size_t token = panel * kSparsePanelTokens;
  const std::size_t count = smaller(kSparsePanelTokens, product.tokens - token);
  for (std::size_t t = 0; t < count; ++t)
    store_sum(product, token + t, row, sums[t]);
}

template <class Half> void matmul_csr_rows(const MatmulCsr& product, std::size_t first, std::size_t last) {
  const bool panels = uses_sparse_panels(product.tokens);
  const std::size_t count = panels ? sparse_panels(product.tokens) : product.tokens;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t row = first; row < last; ++row)
      panels ? matmul_csr_panel<Half>(product, i, row) : matmul_csr_token<Half>(product, i, row);
}

} // namespace
} // namespace edgeq::kernels
