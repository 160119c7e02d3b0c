// SPDX-License-Identifier: Apache-2.0
// Products of decoded binary-coded weights, and decoded rows, against float64; the choice between the two products.
#include "bcq_weight.h"
#include "check.h"

#include "kernels/decode_row.h"
#include "kernels/lut_gemm.h"

using namespace edgeq;
using namespace edgeq::tests;

namespace {

// Float32 rounding of a sum of up to 600 terms, relative to the sum of the magnitudes of their parts.
constexpr double kTolerance = 2e-6;

void check_products(const BcqCase& c, std::size_t tokens, Random& random) {
  std::normal_distribution<float> normal;
  const BcqWeight weight(c, random);
  const BcqValues exact(c, weight);
  GuardedBuffer<float> x(tokens * c.k), packed(tokens * c.k), bias(c.n), y(tokens * c.n);
  for (float& value : x)
    value = normal(random);
  for (float& value : bias)
    value = normal(random);
  for (const kernels::Isa isa : kernels::available_isas()) {
    std::fill(y.begin(), y.end(), 0.0F);
    const std::size_t panel_tokens = kernels::lut_gemm_kernels(isa).panel_tokens,
                      panels = (tokens - 1) / panel_tokens + 1;
    kernels::pack_panels(x.data(), c.k, tokens, panel_tokens, 0, panels / 2, packed.data());
    kernels::pack_panels(x.data(), c.k, tokens, panel_tokens, panels / 2, panels, packed.data());
    const kernels::MatmulBcq product{c.layout(), weight.packed(), packed.data(), tokens, bias.data(), y.data()};
    const std::size_t tiles = c.layout().tiles();
    kernels::lut_gemm_kernels(isa).matmul_bcq(product, tiles / 2, tiles);
    kernels::lut_gemm_kernels(isa).matmul_bcq(product, 0, tiles / 2);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t token = i / c.n, row = i % c.n;
      double sum = bias[row], magnitude = std::fabs(sum);
      for (std::size_t k = 0; k < c.k; ++k) {
        sum += exact.values[row * c.k + k] * x[token * c.k + k];
        magnitude += exact.parts[row * c.k + k] * std::fabs(x[token * c.k + k]);
      }
      CHECK(std::fabs(y[i] - sum) <= kTolerance * magnitude,
            c.text() + " tokens=" + std::to_string(tokens) + " " + kernels::isa_name(isa));
    }
  }
}

void check_rows(const BcqCase& c, Random& random) {
  const BcqWeight weight(c, random);
  const BcqValues exact(c, weight);
  CHECK(kernels::bcq_packed_bytes(c.layout()) == weight.packed_bytes(), c.text());
  GuardedBuffer<float> values(c.k);
  for (std::size_t row = 0; row < c.n; ++row) {
    kernels::decode_row_f32_bcq_generic(c.layout(), weight.packed(), row, values.data());
    for (std::size_t k = 0; k < c.k; ++k)
      CHECK(std::fabs(values[k] - exact.values[row * c.k + k]) <= 2e-7 * exact.parts[row * c.k + k], c.text());
  }
}

/// One token is looked up, everywhere; another product that pays off for some tokens does so for more. Products with
/// int8 activations replace 8-bit tables only.
void check_choice() {
  using kernels::LutGemmProduct;
  for (const kernels::Isa isa : kernels::available_isas())
    for (std::size_t planes = 1; planes <= 4; ++planes)
      for (const std::size_t table_bits : {8, 16}) {
        const kernels::LutGemmCosts& costs = kernels::lut_gemm_kernels(isa).costs;
        LutGemmProduct product = kernels::fastest_product(costs, planes, table_bits, 1);
        CHECK(product == LutGemmProduct::lookup, kernels::isa_name(isa));
        for (std::size_t tokens = 2; tokens < 4096; tokens *= 2) {
          const LutGemmProduct next = kernels::fastest_product(costs, planes, table_bits, tokens);
          CHECK(next != LutGemmProduct::lookup || product == LutGemmProduct::lookup, kernels::isa_name(isa));
          CHECK(next != LutGemmProduct::multiply_a8 || table_bits == 8, kernels::isa_name(isa));
          product = next;
        }
      }
}

} // namespace

int main() {
  Random random(13);
  std::size_t count = 0;
  for_each_bcq_case([&](const BcqCase& c) {
    const std::size_t tokens[] = {1, 2, 3, 5, 6, 7, 11, 12, 13};
    check_products(c, tokens[count++ % 9], random);
    check_rows(c, random);
  });
  check_products({65, 160, 3, 32}, 200, random); // more than one pass over the tokens
  check_choice();
  return report();
}
