// SPDX-License-Identifier: Apache-2.0
// The loops around the rounding of a run of activations to bfloat16. Included by one source per instruction set.
#pragma once

#include "bf16_panels.h"

#include <cstring>

namespace edgeq::kernels {
namespace {

/// Kernel::run(x, count, out) rounds a run of Kernel::kRun: `count` activations, zeros behind them.
template <class Kernel>
void pack_bf16_panels(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last) {
  for (std::size_t panel = first; panel < last; ++panel) {
    const std::size_t start = panels.first_token(panel), tokens = panels.panel_size(panel);
    for (std::size_t token = 0; token < tokens; ++token) {
      const float* row = x + (start + token) * panels.k;
      std::uint16_t* out = panels.values + start * panels.padded_k + token * Kernel::kRun;
      for (std::size_t k = 0; k < panels.padded_k; k += Kernel::kRun) {
        const std::size_t begin = smaller(k, panels.k);
        Kernel::run(row + begin, smaller(Kernel::kRun, panels.k - begin), out + k * tokens);
      }
    }
  }
}

} // namespace
} // namespace edgeq::kernels
