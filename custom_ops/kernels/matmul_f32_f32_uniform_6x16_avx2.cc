// SPDX-License-Identifier: Apache-2.0
#include "matmul_f32_driver.h"
#include "matmul_f32_prompt_driver.h"
#include "multiply_f32_avx2.h"
#include "uniform_decode_f32.h"
#include "uniform_dispatch.h"
#include "vector_avx2.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint>
struct Avx2 : F32Block256, UniformFloatDecoder<Vector256, Bits, ZeroPoint, Dint> {};

} // namespace

void matmul_f32_f32_uniform_6x16_avx2(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

void matmul_f32_f32_uniform_prompt_6x16_avx2(const MatmulF32Prompt& product, std::size_t first_tile,
                                             std::size_t last_tile) {
  for_format<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_prompt_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
