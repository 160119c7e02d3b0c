// SPDX-License-Identifier: Apache-2.0
// Products of codebook weights with float activations, and decoded rows, against float64.
#include "check.h"
#include "codebook_weight.h"
#include "f32_products.h"

#include "kernels/codebook_gemm.h"
#include "kernels/decode_row.h"

using namespace edgeq;
using namespace edgeq::tests;

namespace {

void check_rows(const CodebookCase& c, const CodebookWeight& weight) {
  GuardedBuffer<float> row_values(c.k);
  for (std::size_t row = 0; row < c.n; ++row) {
    kernels::decode_row_f32_codebook_generic(c.layout(), weight.packed(), row, row_values.data());
    for (std::size_t k = 0; k < c.k; ++k)
      CHECK(row_values[k] == static_cast<float>(weight.value(row, k)), c.text() + " row=" + std::to_string(row));
  }
}

} // namespace

int main() {
  Random random(5);
  std::size_t count = 0;
  for_each_codebook_case([&](const CodebookCase& c) {
    const std::size_t tokens[] = {1, 2, 3, 4, 5, 7, 8, 11, 12, 13};
    const CodebookWeight weight(c, random, false);
    check_products(c, weight, tokens[count++ % 10], random, kernels::codebook_gemm_kernels);
    check_rows(c, weight);
  });
  const CodebookCase long_prompt{33, 96, 3, 32}; // more than one pass over the tokens
  check_products(long_prompt, CodebookWeight(long_prompt, random, false), 400, random, kernels::codebook_gemm_kernels);
  return report();
}
