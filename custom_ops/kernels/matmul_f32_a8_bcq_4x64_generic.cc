// SPDX-License-Identifier: Apache-2.0
// The reference of the int8 kernels for binary-coded weights.
#include "bcq_blocks.h"
#include "bcq_levels.h"
#include "half.h"
#include "lut_gemm.h"

#include <cmath>
#include <cstring>

namespace edgeq::kernels {
namespace {

constexpr std::size_t kMostTokens = 4; // of a panel

/// A row's weights of a group: scale · (level − 128).
struct RowLevels {
  std::int32_t bytes[16];
  float scale;
};

float round_scale(float scale) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &scale, sizeof bits);
  bits = (bits + kBcqScaleRounding) & ~kBcqScaleRounding;
  std::memcpy(&scale, &bits, sizeof scale);
  return scale;
}

/// `coefficients` are the row's in the first plane.
RowLevels row_levels(const std::uint8_t* coefficients, std::size_t planes) {
  float levels[16], largest = 0;
  for (std::size_t code = 0; code < std::size_t{1} << planes; ++code) {
    levels[code] = load_half(coefficients, planes * kBcqTileRows);
    for (std::size_t p = 0; p < planes; ++p) {
      const float coefficient = load_half(coefficients, p * kBcqTileRows);
      levels[code] = (code >> p & 1) != 0 ? levels[code] + coefficient : levels[code] - coefficient;
    }
    largest = std::fmax(largest, std::fabs(levels[code]));
  }
  RowLevels row{{}, round_scale(largest * (1 / kBcqByteLimit))};
  const float inverse = row.scale == 0 ? 0 : 1 / row.scale;
  for (std::size_t code = 0; code < std::size_t{1} << planes; ++code)
    row.bytes[code] = static_cast<std::int32_t>(std::nearbyint(levels[code] * inverse)) + kBcqByteCentre;
  return row;
}

/// Σ byte · x over a block; `lane` is the row's first byte there, x[i / 4][stride] the activation codes.
std::int32_t dot_product(const RowLevels& row, const std::uint8_t* lane, std::size_t planes, std::size_t inputs,
                         const std::int8_t* x, std::size_t stride) {
  std::int32_t sum = 0;
  for (std::size_t k = 0; k < inputs; ++k) {
    std::size_t code = 0;
    for (std::size_t p = 0; p < planes; ++p) {
      const unsigned byte = lane[(k / kBcqRun * planes + p) * kBcqTileRows];
      code |= (byte >> k % kBcqRun & 1U) << p;
    }
    sum += row.bytes[code] * x[k / 4 * stride + k % 4];
  }
  return sum;
}

/// One block of one row by all tokens of a panel; sums[token].
void add_block(const MatmulBcqA8& product, const BcqBlock& block, std::size_t block_index, const std::uint8_t* tile,
               std::size_t row, std::size_t panel, float* sums) {
  const std::size_t planes = product.layout.planes;
  const A8Panels& x = product.x;
  const RowLevels levels = row_levels(tile + block.coefficients + 2 * row, planes);
  const std::uint8_t* lane = tile + block.lines + bcq_lane(row);
  const std::size_t first = x.first_token(panel), tokens = x.panel_size(panel);
  const std::int8_t* codes = x.codes + first * product.layout.inputs.padded_k + block.start * tokens;
  const std::size_t scale = first * product.layout.inputs.blocks() + block_index * tokens;
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::int32_t sum = dot_product(levels, lane, planes, block.size, codes + 4 * t, 4 * tokens);
    // Panels start with the bits of a float and minus the bytes' centre times the sum of the codes.
    const auto weight_sum = static_cast<float>(sum + x.sums[scale + t] - x.sum_start);
    sums[t] = std::fma(weight_sum * levels.scale, x.scales[scale + t], sums[t]);
  }
}

void multiply_row(const MatmulBcqA8& product, std::size_t row, std::size_t panel) {
  const std::uint8_t* tile = product.weights + row / kBcqTileRows * product.layout.tile_bytes();
  const std::size_t first = product.x.first_token(panel), tokens = product.x.panel_size(panel);
  float sums[kMostTokens] = {};
  std::size_t index = 0;
  for_each_block(product.layout, [&](const BcqBlock& block) {
    add_block(product, block, index++, tile, row % kBcqTileRows, panel, sums);
  });
  for (std::size_t t = 0; t < tokens; ++t)
    product.y[(first + t) * product.layout.n + row] = product.bias == nullptr ? sums[t] : sums[t] + product.bias[row];
}

} // namespace

void matmul_f32_a8_bcq_4x64_generic(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  const std::size_t last_row = smaller(last_tile * kBcqTileRows, product.layout.n);
  for (std::size_t panel = 0; panel < product.x.panels(); ++panel)
    for (std::size_t row = first_tile * kBcqTileRows; row < last_row; ++row)
      multiply_row(product, row, panel);
}

} // namespace edgeq::kernels
