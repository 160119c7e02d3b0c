// SPDX-License-Identifier: Apache-2.0
#include "matmul_f32_prompt_driver.h"
#include "multiply_f32_avx512.h"
#include "uniform_decode_f32.h"
#include "uniform_dispatch.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, bool Dint>
struct Avx512 : F32Block512, UniformFloatDecoder<Vector512, Bits, ZeroPoint, Dint> {};

} // namespace

void matmul_f32_f32_uniform_12x32_avx512(const MatmulF32Prompt& product, std::size_t first_tile,
                                         std::size_t last_tile) {
  for_format<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_prompt_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
