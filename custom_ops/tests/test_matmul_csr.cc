// SPDX-License-Identifier: Apache-2.0
// Products with sparse rows: against float64, and bit for bit between instruction sets and numbers of tokens.
#include "check.h"
#include "guarded_buffer.h"
#include "uniform_weight.h"

#include "kernels/sparse_gemm.h"

#include <cstring>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

// Float32 rounding of the sum of a row, relative to the sum of magnitudes.
constexpr double kTolerance = 4e-6;

struct Problem {
  std::size_t n, k, tokens;
  GuardedBuffer<std::int32_t> pointers;
  GuardedBuffer<std::uint16_t> columns, values;
  GuardedBuffer<float> x, addend;

  Problem(std::size_t rows, std::size_t inputs, std::size_t m, const std::vector<std::size_t>& entries, Random& random)
      : n(rows), k(inputs), tokens(m), pointers(rows + 1), columns(total(entries)), values(total(entries)),
        x(m * inputs), addend(m * rows) {
    for (std::size_t row = 0; row < n; ++row)
      pointers[row + 1] = pointers[row] + static_cast<std::int32_t>(entries[row]);
    for (std::uint16_t& column : columns)
      column = static_cast<std::uint16_t>(random() % k);
    for (std::uint16_t& value : values)
      value = static_cast<std::uint16_t>((random() & 0x83ffU) | (8 + random() % 8) << 10);
    std::normal_distribution<float> normal;
    for (float& value : x)
      value = normal(random);
    for (float& value : addend)
      value = normal(random);
  }

  static std::size_t total(const std::vector<std::size_t>& entries) {
    std::size_t sum = 0;
    for (const std::size_t count : entries)
      sum += count;
    return sum;
  }
  std::string text() const {
    return "n=" + std::to_string(n) + " k=" + std::to_string(k) + " tokens=" + std::to_string(tokens);
  }
};

/// Rows [0, split) first, then the others: results must not depend on it.
void run(kernels::Isa isa, const Problem& p, std::size_t tokens, const float* addend, std::size_t split,
         GuardedBuffer<float>& y) {
  const kernels::SparseGemmKernels& kernels = kernels::sparse_gemm_kernels(isa);
  const bool panels = kernels::uses_sparse_panels(tokens);
  const std::size_t count = panels ? kernels::sparse_panels(tokens) : 0;
  GuardedBuffer<float> arranged(count * kernels::kSparsePanelTokens * p.k);
  if (panels) {
    kernels.arrange(p.x.data(), tokens, p.k, arranged.data(), 0, count / 2);
    kernels.arrange(p.x.data(), tokens, p.k, arranged.data(), count / 2, count);
  }
  const kernels::CsrMatrix weights{p.n, p.k, p.pointers.data(), p.columns.data(), p.values.data()};
  const kernels::MatmulCsr product{weights, panels ? arranged.data() : p.x.data(), tokens, addend, y.data()};
  kernels.matmul(product, 0, split);
  kernels.matmul(product, split, p.n);
}

void check_values(const Problem& p, const GuardedBuffer<float>& y) {
  for (std::size_t token = 0; token < p.tokens; ++token)
    for (std::size_t row = 0; row < p.n; ++row) {
      double sum = p.addend[token * p.n + row], magnitude = std::fabs(sum);
      for (std::int32_t i = p.pointers[row]; i < p.pointers[row + 1]; ++i) {
        const auto entry = static_cast<std::size_t>(i);
        const double term = half_value(p.values[entry]) * p.x[token * p.k + p.columns[entry]];
        sum += term;
        magnitude += std::fabs(term);
      }
      CHECK(std::fabs(y[token * p.n + row] - sum) <= kTolerance * magnitude, p.text());
    }
}

void check_problem(const Problem& p) {
  GuardedBuffer<float> expected(p.tokens * p.n);
  run(kernels::Isa::generic, p, p.tokens, p.addend.data(), 0, expected);
  check_values(p, expected);
  for (const kernels::Isa isa : kernels::available_isas()) {
    GuardedBuffer<float> y(expected.size()), one(p.n);
    run(isa, p, p.tokens, p.addend.data(), p.n / 2, y);
    CHECK(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0, p.text() + kernels::isa_name(isa));
    run(isa, p, 1, p.addend.data(), p.n, one);
    CHECK(std::memcmp(one.data(), expected.data(), p.n * sizeof(float)) == 0, p.text() + kernels::isa_name(isa));
    run(isa, p, 1, nullptr, p.n, one);
    for (std::size_t row = 0; row < p.n; ++row)
      CHECK(p.addend[row] + one[row] == expected[row], p.text() + " without addend");
  }
}

} // namespace

int main() {
  Random random(9);
  for (const std::size_t tokens : {1, 2, 15, 16, 17, 33})
    for (const std::size_t k : {1, 7, 300}) {
      check_problem(Problem(1, k, tokens, {0}, random));
      check_problem(Problem(5, k, tokens, {3, 0, 1, 200, 0}, random));
      check_problem(Problem(40, k, tokens, std::vector<std::size_t>(40, 9), random));
    }
  check_problem(Problem(2, 65536, 20, {50, 50}, random));
  return report();
}
