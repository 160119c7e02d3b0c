// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weights.h"

#include "kernels/uniform_layout.h"

namespace edgeq::ops {

/// Reads and checks the attributes of a weight in the `uniform`, or the `dint`, format: K, N, bits, group_size,
/// has_zero_point.
inline kernels::UniformLayout read_uniform_layout(const ort::KernelInfo& info, bool dint = false) {
  const WeightShape shape = read_weight_shape(info);
  const std::int64_t bits = info.int64("bits");
  if (dint && bits != 3 && bits != 4)
    throw ort::Error("attribute bits: found " + std::to_string(bits) + ", wanted 3 or 4");
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    throw ort::Error("attribute bits: found " + std::to_string(bits) + ", wanted 2, 3, 4 or 8");
  kernels::UniformLayout layout{shape.n, shape.inputs, static_cast<std::size_t>(bits),
                                info.size("has_zero_point", 0, 1) == 1};
  layout.dint = dint;
  return layout;
}

} // namespace edgeq::ops
