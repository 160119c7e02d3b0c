// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Calls body(Kernel<bits, zero point>{}) for the format of a weight.
template <template <int, bool> class Kernel, class Body>
EDGEQ_INLINE void for_uniform(const UniformLayout& layout, const Body& body) {
  switch (2 * layout.bits + (layout.has_zero_point ? 1 : 0)) {
  case 4:
    return body(Kernel<2, false>{});
  case 5:
    return body(Kernel<2, true>{});
  case 6:
    return body(Kernel<3, false>{});
  case 7:
    return body(Kernel<3, true>{});
  case 8:
    return body(Kernel<4, false>{});
  case 9:
    return body(Kernel<4, true>{});
  case 16:
    return body(Kernel<8, false>{});
  default:
    return body(Kernel<8, true>{});
  }
}

} // namespace
} // namespace edgeq::kernels
