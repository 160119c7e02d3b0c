// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Calls body(Kernel<bits, zero point, dint>{}) for the format of a weight.
template <template <int, bool, bool> class Kernel, class Body>
EDGEQ_INLINE void for_format(const UniformLayout& layout, const Body& body) {
  switch (4 * layout.bits + (layout.has_zero_point ? 2 : 0) + (layout.dint ? 1 : 0)) {
  case 8:
    return body(Kernel<2, false, false>{});
  case 10:
    return body(Kernel<2, true, false>{});
  case 12:
    return body(Kernel<3, false, false>{});
  case 13:
    return body(Kernel<3, false, true>{});
  case 14:
    return body(Kernel<3, true, false>{});
  case 15:
    return body(Kernel<3, true, true>{});
  case 16:
    return body(Kernel<4, false, false>{});
  case 17:
    return body(Kernel<4, false, true>{});
  case 18:
    return body(Kernel<4, true, false>{});
  case 19:
    return body(Kernel<4, true, true>{});
  case 32:
    return body(Kernel<8, false, false>{});
  default:
    return body(Kernel<8, true, false>{});
  }
}

} // namespace
} // namespace edgeq::kernels
