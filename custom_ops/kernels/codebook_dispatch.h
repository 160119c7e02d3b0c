// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Calls body(Kernel<bits>{}) for a codebook.
template <template <int> class Kernel, class Body>
EDGEQ_INLINE void for_codebook(const UniformLayout& layout, const Body& body) {
  switch (layout.bits) {
  case 2:
    return body(Kernel<2>{});
  case 3:
    return body(Kernel<3>{});
  default:
    return body(Kernel<4>{});
  }
}

} // namespace
} // namespace edgeq::kernels
