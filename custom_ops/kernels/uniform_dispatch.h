// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Calls body(Kernel<bits, zero point, dint>{}) for the denominator of a `dint` weight, whose other parts are known.
template <template <int, bool, int> class Kernel, bool ZeroPoint, class Body>
EDGEQ_INLINE void for_dint(const UniformLayout& layout, const Body& body) {
  switch (16 * layout.bits + static_cast<std::size_t>(layout.dint)) {
  case 16 * 3 + 2:
    return body(Kernel<3, ZeroPoint, 2>{});
  case 16 * 3 + 4:
    return body(Kernel<3, ZeroPoint, 4>{});
  case 16 * 3 + 8:
    return body(Kernel<3, ZeroPoint, 8>{});
  case 16 * 4 + 2:
    return body(Kernel<4, ZeroPoint, 2>{});
  case 16 * 4 + 4:
    return body(Kernel<4, ZeroPoint, 4>{});
  default:
    return body(Kernel<4, ZeroPoint, 8>{});
  }
}

/// Calls body(Kernel<bits, zero point, dint>{}) for the format of a weight.
template <template <int, bool, int> class Kernel, class Body>
EDGEQ_INLINE void for_format(const UniformLayout& layout, const Body& body) {
  if (layout.dint != 0)
    return layout.has_zero_point ? for_dint<Kernel, true>(layout, body) : for_dint<Kernel, false>(layout, body);
  switch (2 * layout.bits + (layout.has_zero_point ? 1 : 0)) {
  case 4:
    return body(Kernel<2, false, 0>{});
  case 5:
    return body(Kernel<2, true, 0>{});
  case 6:
    return body(Kernel<3, false, 0>{});
  case 7:
    return body(Kernel<3, true, 0>{});
  case 8:
    return body(Kernel<4, false, 0>{});
  case 9:
    return body(Kernel<4, true, 0>{});
  case 16:
    return body(Kernel<8, false, 0>{});
  default:
    return body(Kernel<8, true, 0>{});
  }
}

} // namespace
} // namespace edgeq::kernels
