// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weights.h"

#include "kernels/uniform_layout.h"

namespace edgeq::ops {

/// Attribute `denominator` of the `dint` format, which is 2 where it is absent.
inline int read_denominator(const ort::KernelInfo& info) {
  const std::int64_t denominator = info.int64_or("denominator", 2);
  if (denominator != 2 && denominator != 4 && denominator != 8)
    throw ort::Error("attribute denominator: found " + std::to_string(denominator) + ", wanted 2, 4 or 8");
  return static_cast<int>(denominator);
}

/// Reads and checks the attributes of a weight in the `uniform`, or the `dint`, format: K, N, bits, group_size,
/// has_zero_point, denominator.
inline kernels::UniformLayout read_uniform_layout(const ort::KernelInfo& info, bool dint = false) {
  const WeightShape shape = read_weight_shape(info);
  const std::int64_t bits = info.int64("bits");
  if (dint && bits != 3 && bits != 4)
    throw ort::Error("attribute bits: found " + std::to_string(bits) + ", wanted 3 or 4");
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    throw ort::Error("attribute bits: found " + std::to_string(bits) + ", wanted 2, 3, 4 or 8");
  kernels::UniformLayout layout{shape.n, shape.inputs, static_cast<std::size_t>(bits),
                                info.size("has_zero_point", 0, 1) == 1};
  layout.dint = dint ? read_denominator(info) : 0;
  return layout;
}

} // namespace edgeq::ops
