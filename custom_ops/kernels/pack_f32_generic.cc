// SPDX-License-Identifier: Apache-2.0
#include "f32_panels.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kLine = 16; // floats of a cache line: read whole, while the lines they go to are at hand

} // namespace

void pack_f32_generic(const float* x, const F32Panels& panels, std::size_t first, std::size_t last) {
  const std::size_t k = panels.k;
  for (std::size_t panel = first; panel < last; ++panel) {
    const std::size_t token = panels.first_token(panel), size = panels.panel_size(panel);
    float* out = panels.values + token * k;
    for (std::size_t begin = 0; begin < k; begin += kLine)
      for (std::size_t t = 0; t < size; ++t)
        for (std::size_t i = begin; i < smaller(begin + kLine, k); ++i)
          out[i * size + t] = x[(token + t) * k + i];
  }
}

} // namespace edgeq::kernels
