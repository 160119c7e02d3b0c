// SPDX-License-Identifier: Apache-2.0
// Pairs of tokens by smmla; a lone token, where half of its products would be dropped, by sdot.
#include "multiply_a8_dotprod.h"
#include "multiply_a8_i8mm.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct I8mm {
  using Factors = NeonFactors<Bits, ZeroPoint, Dint>;
  static constexpr std::size_t kTokens = 8;

  template <int Tokens, int Quarters> using Block = NeonRegisterBlock<MultiplyI8mm, Factors, Tokens, Quarters>;

  static void run(const A8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return NeonRegisterBlock<MultiplyDotprod, Factors, 1, 8>::run(block);
    case 2:
      return Block<2, 4>::run(block);
    case 3:
      return Block<3, 4>::run(block);
    case 4:
      return Block<4, 4>::run(block);
    case 5:
      return Block<5, 2>::run(block);
    case 6:
      return Block<6, 2>::run(block);
    case 7:
      return Block<7, 2>::run(block);
    default:
      return Block<8, 2>::run(block);
    }
  }
};

} // namespace

void matmul_f32_a8_uniform_8x8_i8mm(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<I8mm>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
