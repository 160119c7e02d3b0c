// SPDX-License-Identifier: Apache-2.0
#include "codebook_dispatch.h"
#include "codebook_fields.h"
#include "half.h"
#include "matmul_a8_driver.h"

namespace edgeq::kernels {
namespace {

/// Levels of `count` inputs, [k][32 rows].
template <int Bits> void decode_levels(const CodebookGroup& group, std::size_t count, std::int8_t* out) {
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t row = 0; row < kUniformTileRows; ++row)
      out[k * kUniformTileRows + row] = static_cast<std::int8_t>(CodebookFields<Bits>::level(group, row, k));
}

/// Adds the products of one activation block and one token to y[32].
void add_block(const std::int8_t* levels, std::size_t count, const std::int8_t* x, std::size_t tokens,
               const std::uint8_t* scales, float scale, float* y) {
  std::int32_t products[kUniformTileRows] = {};
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t row = 0; row < kUniformTileRows; ++row)
      products[row] += levels[k * kUniformTileRows + row] * x[k / 4 * 4 * tokens + k % 4];
  for (std::size_t row = 0; row < kUniformTileRows; ++row)
    y[row] = __builtin_fmaf(static_cast<float>(products[row]) * load_half(scales, row), scale, y[row]);
}

template <int Bits> struct Generic {
  static constexpr std::size_t kTokens = 4;

  static void run(const A8Block& block, std::size_t tokens) {
    const UniformLayout& layout = *block.layout;
    std::int8_t levels[kActivationBlock * kUniformTileRows];
    const std::int8_t* x = block.codes;
    const float* scale = block.scales;
    for (std::size_t k = block.begin, end = 0; k < block.end; k = end, scale += tokens) {
      end = layout.inputs.block_end(k);
      const CodebookGroup group(layout, block.tile, k);
      decode_levels<Bits>(group, end - k, levels);
      for (std::size_t token = 0; token < tokens; ++token)
        add_block(levels, end - k, x + 4 * token, tokens, group.scales, scale[token],
                  block.y + token * kUniformTileRows);
      x += (end - k) * tokens;
    }
  }
};

} // namespace

void matmul_f32_a8_codebook_4x32_generic(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Generic>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
