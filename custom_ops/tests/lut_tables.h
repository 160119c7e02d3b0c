// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "guarded_buffer.h"

#include "kernels/lut_gemm.h"

namespace edgeq::tests {

/// The tables that an instruction set builds for some tokens, in guarded memory.
class LutTables {
public:
  LutTables(const kernels::LutGemmKernels& kernels, const float* x, std::size_t tokens, const kernels::Grouping& inputs,
            std::size_t table_bits)
      : inputs_(inputs), table_bits_(table_bits), entries_(tokens * kernels::lut_bytes(inputs, table_bits)),
        blocks_(tokens * inputs.blocks()) {
    for (std::size_t t = 0; t < tokens; ++t)
      kernels.build_lut(x + t * inputs.k, inputs, table_bits,
                        entries_.data() + t * kernels::lut_bytes(inputs, table_bits),
                        blocks_.data() + t * inputs.blocks());
  }

  const GuardedBuffer<std::uint8_t>& entries() const { return entries_; }
  const GuardedBuffer<kernels::LutBlock>& blocks() const { return blocks_; }

  /// Entry `index` of the run of 4 inputs that starts at input `k`.
  int entry(std::size_t token, std::size_t k, std::size_t index) const {
    const std::uint8_t* low = entries_.data() + token * kernels::lut_bytes(inputs_, table_bits_) +
                              k / 16 * 8 * table_bits_ + k % 16 / 4 * 16 + index;
    return table_bits_ == 8 ? low[0] - 128 : low[0] + 256 * low[64] - 32768;
  }

private:
  kernels::Grouping inputs_;
  std::size_t table_bits_;
  GuardedBuffer<std::uint8_t> entries_;
  GuardedBuffer<kernels::LutBlock> blocks_;
};

} // namespace edgeq::tests
