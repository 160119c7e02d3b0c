// SPDX-License-Identifier: Apache-2.0
#include "matmul_decoded_neon.h"
#include "multiply_a8_i8mm.h"

namespace edgeq::kernels {
namespace {

struct I8mm {
  static constexpr std::size_t kTokens = 8;

  template <int Tokens, int Quarters> using Block = DecodedRegisterBlock<MultiplyI8mm, Tokens, Quarters>;

  static void run(const U8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return Block<1, 4>::run(block);
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

void matmul_f32_a8_codebook_8x8_i8mm(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_codebook_tiles<I8mm>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
