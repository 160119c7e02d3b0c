// SPDX-License-Identifier: Apache-2.0
#include "uniform_tokens_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct VnniLines : UniformLines<Vector512, Bits, ZeroPoint, Dint> {
  using Base = UniformLines<Vector512, Bits, ZeroPoint, Dint>;
  static constexpr bool kZeroPoint = ZeroPoint;
  // Zero points of `uniform` are subtracted from the sums: cheaper than from every code, for so few tokens.
  static constexpr bool kSubtractZeros = ZeroPoint && !Dint;
  static constexpr float kScale = dint_unit(Dint);
  static constexpr bool kInPlace = !Dint;

  EDGEQ_MEMBER static __m512 zeros_of_sums(__m512 zero) { return zero; }
  EDGEQ_MEMBER static __m512i decode(const std::uint8_t* line, int f, __m512i zero) {
    if constexpr (Dint)
      return Base::bytes(line, f, zero);
    else
      return Base::codes(line, f);
  }
};

template <int Bits, bool ZeroPoint, int Dint> using Avx512Vnni = SeveralTokens<VnniLines<Bits, ZeroPoint, Dint>>;

} // namespace

void matmul_f32_a8_uniform_6x32_avx512_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.x.tokens == 1)
    return matmul_f32_a8_uniform_1x64_avx512_vnni(product, first_tile, last_tile);
  for_format<Avx512Vnni>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
