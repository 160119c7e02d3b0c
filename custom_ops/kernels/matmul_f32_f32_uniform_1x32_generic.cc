// SPDX-License-Identifier: Apache-2.0
#include "half.h"
#include "matmul_f32_driver.h"
#include "uniform_decode_generic.h"

namespace edgeq::kernels {
namespace {

struct Generic {
  static constexpr std::size_t kTokens = 1;

  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    std::uint8_t codes[kActivationBlock * kUniformTileRows];
    decode_codes(layout.bits, tile + layout.code_offset(begin), end - begin, codes);
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    if (layout.dint != 0)
      decode_dint_codes(layout, trailer, end - begin, codes);
    for (std::size_t row = 0; row < kUniformTileRows; ++row) {
      const float scale = scale_of(layout, trailer, row);
      const int zero = zero_point(layout, trailer, row);
      for (std::size_t k = 0; k < end - begin; ++k)
        out[k * kUniformTileRows + row] =
            scale * static_cast<float>(codes[k / 4 * 4 * kUniformTileRows + 4 * row + k % 4] - zero);
    }
  }

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t, std::size_t, float* y) {
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t row = 0; row < kUniformTileRows; ++row)
        y[row] += weights[k * kUniformTileRows + row] * x[k];
  }
};

} // namespace

void matmul_f32_f32_uniform_1x32_generic(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_f32_tiles<Generic>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
