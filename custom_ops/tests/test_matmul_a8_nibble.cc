// SPDX-License-Identifier: Apache-2.0
// One token by nibbles that are decoded in registers: bit for bit the product of the decoded weight.
#include "a8_activations.h"
#include "check.h"
#include "coded_weight.h"

#include "kernels/compressed_weight.h"

#include <cstring>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

/// Scales that are finite, as products of the others are not the same everywhere.
Bytes finite_packed(const CodedCase& c, Random& random) {
  Bytes packed = random_packed(c, random);
  const kernels::UniformLayout layout = c.layout();
  for (std::size_t tile = 0; tile < layout.tiles(); ++tile)
    for (std::size_t group = 0; group < layout.inputs.groups; ++group)
      for (std::size_t row = 0; row < 32; ++row)
        packed[tile * layout.tile_bytes() + layout.trailer_offset(group) + 2 * row + 1] &= 0xbb;
  return packed;
}

struct Problem {
  CodedCase shape;
  Bytes packed, coded;
  GuardedBuffer<float> x, bias, expected;

  Problem(const CodedCase& c, Random& random)
      : shape(c), packed(finite_packed(c, random)), coded(compressed(c, packed)), x(c.k), bias(c.n), expected(c.n) {
    std::normal_distribution<float> normal;
    for (float& value : x)
      value = normal(random);
    for (float& value : bias)
      value = normal(random);
    const kernels::DintGemmKernels& generic = kernels::dint_gemm_kernels(kernels::Isa::generic);
    const A8Activations activations(generic, x.data(), 1, c.layout());
    generic.matmul_a8({c.layout(), packed.data(), activations.panels(), bias.data(), expected.data()}, 0,
                      c.layout().tiles());
  }

  /// Blocks [0, split) first, then the others: results must not depend on it.
  void check(kernels::Isa isa, std::size_t split) const {
    const kernels::MatmulA8NibbleFunction matmul = kernels::matmul_a8_nibble_kernel(isa);
    if (matmul == nullptr)
      return;
    const kernels::CompressedWeight weight(coded.data(), coded.size(), shape.layout(), isa);
    const A8Activations activations(kernels::dint_gemm_kernels(isa), x.data(), 1, shape.layout());
    GuardedBuffer<float> y(shape.n);
    const kernels::MatmulA8Nibble product{weight.nibbles(), activations.panels(), bias.data(), y.data()};
    matmul(product, 0, std::min(split, weight.blocks()));
    matmul(product, std::min(split, weight.blocks()), weight.blocks());
    CHECK(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0,
          shape.text() + " " + kernels::isa_name(isa));
  }
};

} // namespace

int main() {
  Random random(1);
  const std::size_t shapes[][2] = {{1, 1}, {40, 96}, {190, 130}, {64, 512}, {300, 1100}};
  for (const auto& shape : shapes)
    for (const std::size_t group : {0, 32, 96, 160})
      for (const bool zero_point : {false, true})
        for (const std::size_t tiles : {1, 2, 3})
          for (const unsigned spread : {0, 6, 100}) {
            const CodedCase c{shape[0], shape[1], 8, group, zero_point, Codec::nibble, tiles, spread};
            const Problem problem(c, random);
            for (const kernels::Isa isa : kernels::available_isas())
              for (const std::size_t split : {0, 1})
                problem.check(isa, split);
          }
  edgeq::tests::pass(); // without a kernel there is nothing to compare
  return report();
}
