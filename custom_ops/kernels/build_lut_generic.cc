// SPDX-License-Identifier: Apache-2.0
#include "build_lut_blocks.h"

#include <cmath>

namespace edgeq::kernels {
namespace {

float signed_sum(const float* x, unsigned index) {
  float sum = (index & 1) != 0 ? x[0] : -x[0];
  for (unsigned j = 1; j < 4; ++j)
    sum += (index >> j & 1) != 0 ? x[j] : -x[j];
  return sum;
}

LutScale measure(const float* x, std::size_t size, std::size_t table_bits) {
  float largest = 0, lanes[16] = {};
  for (std::size_t k = 0; k < size; k += 4)
    for (unsigned index = 0; index < 16; ++index)
      largest = std::fmax(largest, signed_sum(x + k, index));
  for (std::size_t k = 0; k < size; ++k)
    lanes[k % 16] += x[k];
  return lut_scale(largest, add_lanes(lanes), table_bits);
}

void build_block(const float* x, std::size_t size, std::size_t table_bits, std::uint8_t* entries, LutBlock* block) {
  const LutScale scale = measure(x, size, table_bits);
  *block = scale.block;
  for (std::size_t run = 0; run < size / 4; ++run) {
    std::uint8_t* low = entries + run_offset(run, table_bits);
    for (unsigned index = 0; index < 16; ++index) {
      const float value = scale.factor == 0 ? 0 : signed_sum(x + 4 * run, index) * scale.factor;
      const int entry = static_cast<int>(std::nearbyint(value)) + (1 << (table_bits - 1));
      low[index] = static_cast<std::uint8_t>(entry);
      if (table_bits == 16)
        low[64 + index] = static_cast<std::uint8_t>(entry >> 8);
    }
  }
}

} // namespace

void build_lut_generic(const float* x, const Grouping& inputs, std::size_t table_bits, std::uint8_t* entries,
                       LutBlock* blocks) {
  build_blocks(x, inputs, table_bits, entries, blocks,
               [&](const float* block_x, std::size_t size, std::uint8_t* block_entries, LutBlock* block) {
                 build_block(block_x, size, table_bits, block_entries, block);
               });
}

} // namespace edgeq::kernels
