// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weights.h"

#include "kernels/uniform_layout.h"

namespace edgeq::ops {

/// Reads and checks the attributes of a weight in the `codebook` format: K, N, bits, group_size, has_zero_point (0).
inline kernels::UniformLayout read_codebook_layout(const ort::KernelInfo& info) {
  const WeightShape shape = read_weight_shape(info);
  (void)info.size("has_zero_point", 0, 0);
  kernels::UniformLayout layout{shape.n, shape.inputs, info.size("bits", 2, 4), false};
  layout.codebook = true;
  return layout;
}

} // namespace edgeq::ops
