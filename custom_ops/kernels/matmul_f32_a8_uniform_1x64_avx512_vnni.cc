// SPDX-License-Identifier: Apache-2.0
#include "uniform_token_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct Avx512Vnni {
  using Lines = TokenLines<Bits, ZeroPoint, Dint>;
};

} // namespace

void matmul_f32_a8_uniform_1x64_avx512_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Avx512Vnni>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_token<typename decltype(kernel)::Lines>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
