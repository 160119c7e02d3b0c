// SPDX-License-Identifier: Apache-2.0
#include "multiply_a8_neon.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct Neon {
  using Factors = NeonFactors<Bits, ZeroPoint, Dint>;
  static constexpr std::size_t kTokens = 4;

  template <int Tokens, int Quarters> using Block = NeonRegisterBlock<MultiplyNeon, Factors, Tokens, Quarters>;

  static void run(const A8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return Block<1, 4>::run(block);
    case 2:
      return Block<2, 4>::run(block);
    case 3:
      return Block<3, 2>::run(block);
    default:
      return Block<4, 2>::run(block);
    }
  }
};

} // namespace

void matmul_f32_a8_uniform_4x8_neon(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Neon>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
