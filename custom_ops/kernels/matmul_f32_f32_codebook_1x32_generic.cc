// SPDX-License-Identifier: Apache-2.0
#include "codebook_dispatch.h"
#include "codebook_fields.h"
#include "half.h"
#include "matmul_f32_driver.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Generic {
  static constexpr std::size_t kTokens = 1;

  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    const CodebookGroup group(layout, tile, begin);
    for (std::size_t row = 0; row < kUniformTileRows; ++row) {
      const float scale = load_half(group.scales, row);
      for (std::size_t k = 0; k < end - begin; ++k)
        out[k * kUniformTileRows + row] = scale * static_cast<float>(CodebookFields<Bits>::level(group, row, k));
    }
  }

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t, std::size_t, float* y) {
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t row = 0; row < kUniformTileRows; ++row)
        y[row] += weights[k * kUniformTileRows + row] * x[k];
  }
};

} // namespace

void matmul_f32_f32_codebook_1x32_generic(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Generic>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
