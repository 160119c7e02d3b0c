// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weights.h"

#include "kernels/bcq_layout.h"

namespace edgeq::ops {

/// Reads and checks the attributes of a weight in the `bcq` format: K, N, bits, group_size.
inline kernels::BcqLayout read_bcq_layout(const ort::KernelInfo& info) {
  const WeightShape shape = read_weight_shape(info);
  return {shape.n, shape.inputs, info.size("bits", 1, 4)};
}

} // namespace edgeq::ops
