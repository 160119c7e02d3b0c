// SPDX-License-Identifier: Apache-2.0
#include "half.h"
#include "matmul_bcq_driver.h"

namespace edgeq::kernels {
namespace {

struct Kernel {
  static constexpr std::size_t kTokens = 1;

  static void decode(const BcqBlock& block, std::size_t planes, const std::uint8_t* tile, float* out) {
    float values[5 * kBcqTileRows]; // [planes] coefficients, then the offsets, of each row
    for (std::size_t i = 0; i < (planes + 1) * kBcqTileRows; ++i)
      values[i] = load_half(tile + block.coefficients, i);
    for (std::size_t k = 0; k < block.size; ++k, out += kBcqTileRows) {
      __builtin_memcpy(out, values + planes * kBcqTileRows, kBcqTileRows * sizeof *out);
      const std::uint8_t* line = tile + block.lines + k / kBcqRun * planes * kBcqTileRows;
      for (std::size_t p = 0; p < planes; ++p)
        add_plane(line + p * kBcqTileRows, k % kBcqRun, values + p * kBcqTileRows, out);
    }
  }

  /// Adds the coefficients of the rows whose bit is set, and subtracts the others.
  static void add_plane(const std::uint8_t* line, std::size_t bit, const float* coefficients, float* out) {
    for (std::size_t row = 0; row < kBcqTileRows; ++row) {
      const auto sign = static_cast<float>(2 * (line[bcq_lane(row)] >> bit & 1) - 1);
      out[row] += sign * coefficients[row];
    }
  }

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t, float* sums) {
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t row = 0; row < kBcqTileRows; ++row)
        sums[row] += weights[k * kBcqTileRows + row] * x[k];
  }
};

} // namespace

void matmul_f32_f32_bcq_1x64_generic(const MatmulBcq& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_bcq_tiles<Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
