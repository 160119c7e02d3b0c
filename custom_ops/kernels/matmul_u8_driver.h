// SPDX-License-Identifier: Apache-2.0
// The loops around products of 32 decoded rows with the panels of many tokens: a stretch of the rows is decoded once,
// then multiplied with every panel. Included by one source per instruction set.
#pragma once

#include "a8_panels.h"
#include "matmul_u8_block.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kU8PanelsPerPass = 16; // their sums, 24 KiB, stay in the first two caches

/// A product whose weights a decoder knows.
struct U8Product {
  Grouping inputs;
  std::size_t n;
  A8Panels x; // sums as U8Block::starts wants them
  const float* bias;
  float* y; // [tokens, n]
};

/// End of the stretch of inputs from `begin` that fits into a decoded tile: whole groups, or whole blocks of a long
/// one.
EDGEQ_INLINE std::size_t u8_stretch_end(const Grouping& inputs, std::size_t begin) {
  const std::size_t group = begin / inputs.group_size;
  if (inputs.group_size > kDecodedInputs)
    return smaller(begin + kDecodedInputs, inputs.group_end(group));
  return inputs.group_end(group + kDecodedInputs / inputs.group_size - 1);
}

/// y of rows from `row` on and panels [first, last). decode(begin, end, DecodedTile&) decodes the rows' inputs and
/// returns U8Ahead; kernel.run(U8Block, tokens) is the register block.
template <class Kernel, class Decode>
EDGEQ_INLINE void matmul_u8_rows(const U8Product& product, std::size_t row, std::size_t first, std::size_t last,
                                 const Decode& decode) {
  const Grouping& inputs = product.inputs;
  const A8Panels& x = product.x;
  const std::size_t first_token = x.first_token(first), tokens = x.first_token(last) - first_token;
  DecodedTile decoded;
  Kernel kernel;
  alignas(64) float sums[kU8PanelsPerPass * Kernel::kTokens * kDecodedRows];
  __builtin_memset(sums, 0, tokens * kDecodedRows * sizeof *sums);
  for (std::size_t begin = 0, end = 0; begin < inputs.padded_k; begin = end) {
    end = u8_stretch_end(inputs, begin);
    const U8Ahead ahead = decode(begin, end, decoded);
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t token = x.first_token(panel), size = x.panel_size(panel);
      const std::size_t scale = token * inputs.blocks() + inputs.block_index(begin) * size;
      const U8Ahead part = ahead.part(panel - first, last - first);
      kernel.run({&decoded, x.codes + token * inputs.padded_k + begin * size, x.scales + scale, x.sums + scale,
                  sums + (token - first_token) * kDecodedRows, part},
                 size);
      fetch_ahead(kernel, part);
    }
  }
  finish(kernel);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t r = 0; r < smaller(kDecodedRows, product.n - row); ++r) {
      const float sum = sums[t * kDecodedRows + r];
      product.y[(first_token + t) * product.n + row + r] = product.bias == nullptr ? sum : sum + product.bias[row + r];
    }
}

} // namespace
} // namespace edgeq::kernels
