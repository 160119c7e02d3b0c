// SPDX-License-Identifier: Apache-2.0
// Prompts with the `uniform` and `dint` formats. Included by one source per instruction set.
#pragma once

#include "matmul_a8_prompt_driver.h"
#include "uniform_decode_tile.h"
#include "uniform_dispatch.h"

namespace edgeq::kernels {
namespace {

template <class V> struct UniformTileDecoders {
  template <int Bits, bool ZeroPoint, int Dint> using Of = UniformTileDecoder<V, Bits, ZeroPoint, Dint>;
};
template <class V> struct UniformPairsTileDecoders {
  template <int Bits, bool ZeroPoint, int Dint>
  using Of = UniformTileDecoder<V, Bits, ZeroPoint, Dint, dint_from_zero(Bits, ZeroPoint, Dint)>;
};

/// Kernel<Decoder> is the register block for what a decoder makes.
template <class Decoders, template <class> class Kernel>
EDGEQ_INLINE void matmul_a8_prompt_decoded(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Decoders::template Of>(product.layout, [&](auto decoder) __attribute__((always_inline)) {
    using Decoder = decltype(decoder);
    matmul_a8_prompt<Decoder, Kernel<Decoder>>(product, first_tile, last_tile);
  });
}

/// Vectors V decode.
template <class V, template <class> class Kernel>
EDGEQ_INLINE void matmul_a8_prompt_uniform(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_decoded<UniformTileDecoders<V>, Kernel>(product, first_tile, last_tile);
}

/// The same for kernels that sum products in 16 bits: DintGemmKernels::pairs.
template <class V, template <class> class Kernel>
EDGEQ_INLINE void matmul_a8_prompt_pairs(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_decoded<UniformPairsTileDecoders<V>, Kernel>(product, first_tile, last_tile);
}

} // namespace
} // namespace edgeq::kernels
