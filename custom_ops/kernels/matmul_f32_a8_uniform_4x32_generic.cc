// SPDX-License-Identifier: Apache-2.0
#include "half.h"
#include "matmul_a8_driver.h"
#include "uniform_decode_generic.h"

namespace edgeq::kernels {
namespace {

/// Adds the products of one activation block and one token to y[32].
void add_block(const A8Block& block, const std::uint8_t* codes, std::size_t count, const std::int8_t* x,
               std::size_t tokens, const std::uint8_t* trailer, float scale, std::int32_t sum, float* y) {
  std::int32_t products[kUniformTileRows] = {};
  for (std::size_t k = 0; k < count; k += 4, codes += 4 * kUniformTileRows, x += 4 * tokens)
    for (std::size_t row = 0; row < kUniformTileRows; ++row)
      for (std::size_t j = 0; j < 4; ++j)
        products[row] += codes[4 * row + j] * x[j];
  for (std::size_t row = 0; row < kUniformTileRows; ++row) {
    const int centred = products[row] - zero_point(*block.layout, trailer, row) * sum;
    y[row] = __builtin_fmaf(static_cast<float>(centred) * scale_of(*block.layout, trailer, row), scale, y[row]);
  }
}

struct Generic {
  static constexpr std::size_t kTokens = 4;

  static void run(const A8Block& block, std::size_t tokens) {
    const UniformLayout& layout = *block.layout;
    std::uint8_t codes[kActivationBlock * kUniformTileRows];
    const std::int8_t* x = block.codes;
    const float* scale = block.scales;
    const std::int32_t* sum = block.sums;
    for (std::size_t k = block.begin, end = 0; k < block.end; k = end, scale += tokens, sum += tokens) {
      end = layout.inputs.block_end(k);
      decode_codes(layout.bits, block.tile + layout.code_offset(k), end - k, codes);
      const std::uint8_t* trailer = block.tile + layout.trailer_offset(k / layout.inputs.group_size);
      if (layout.dint != 0)
        decode_dint_codes(layout, trailer, end - k, codes);
      for (std::size_t token = 0; token < tokens; ++token)
        add_block(block, codes, end - k, x + 4 * token, tokens, trailer, scale[token], sum[token],
                  block.y + token * kUniformTileRows);
      x += (end - k) * tokens;
    }
  }
};

} // namespace

void matmul_f32_a8_uniform_4x32_generic(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_tiles<Generic>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
