// SPDX-License-Identifier: Apache-2.0
// The reference of the lookup kernels.
#include "half.h"
#include "matmul_lut_driver.h"

namespace edgeq::kernels {
namespace {

/// The sum of the entries that one row's nibbles select in one plane of a block; `lane` is the row's first byte there.
std::int32_t sum_entries(const MatmulLut& product, std::size_t inputs, const std::uint8_t* lane,
                         const std::uint8_t* entries) {
  const bool wide = product.table_bits == 16;
  const std::int32_t bias = wide ? 32768 : 128;
  std::int32_t sum = 0;
  for (std::size_t k = 0; k < inputs; k += 4) {
    const std::uint8_t byte = lane[k / kBcqRun * product.layout.planes * kBcqTileRows];
    const std::size_t nibble = k % kBcqRun == 0 ? byte & 15 : byte >> 4;
    const std::uint8_t* low = entries + k / 16 * (wide ? 128 : 64) + k % 16 * 4 + nibble;
    sum += *low + (wide ? low[64] * 256 : 0) - bias;
  }
  return sum;
}

void look_up(const MatmulLut& product, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables,
             float* sums) {
  const std::size_t planes = product.layout.planes;
  const std::uint8_t* coefficients = tile + block.coefficients;
  for (std::size_t row = 0; row < kBcqTileRows; ++row) {
    float weighted = 0;
    for (std::size_t p = 0; p < planes; ++p) {
      const std::uint8_t* lane = tile + block.lines + p * kBcqTileRows + bcq_lane(row);
      const auto selected = static_cast<float>(sum_entries(product, block.size, lane, tables.entries));
      weighted = __builtin_fmaf(load_half(coefficients, p * kBcqTileRows + row), selected, weighted);
    }
    const float sum = __builtin_fmaf(tables.blocks->scale, weighted, sums[row]);
    sums[row] = __builtin_fmaf(load_half(coefficients, planes * kBcqTileRows + row), tables.blocks->sum, sum);
  }
}

} // namespace

void matmul_f32_lut_bcq_1x64_generic(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_lut_tiles<1>(
      product, first_tile, last_tile,
      [&](std::size_t, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables, float* sums) {
        look_up(product, block, tile, tables, sums);
      },
      [](float*, std::size_t) {});
}

} // namespace edgeq::kernels
