// SPDX-License-Identifier: Apache-2.0
#include "multiply_a8_dotprod.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct Dotprod {
  using Factors = NeonFactors<Bits, ZeroPoint, Dint>;
  static constexpr std::size_t kTokens = 6;

  template <int Tokens, int Quarters> using Block = NeonRegisterBlock<MultiplyDotprod, Factors, Tokens, Quarters>;

  static void run(const A8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return Block<1, 8>::run(block);
    case 2:
      return Block<2, 8>::run(block);
    case 3:
      return Block<3, 4>::run(block);
    case 4:
      return Block<4, 4>::run(block);
    case 5:
      return Block<5, 4>::run(block);
    default:
      return Block<6, 4>::run(block);
    }
  }
};

} // namespace

void matmul_f32_a8_uniform_6x16_dotprod(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Dotprod>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
