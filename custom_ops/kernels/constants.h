// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler.h"

#include <utility>

namespace edgeq::kernels {

template <int... Indices, class Body>
EDGEQ_INLINE void for_constants(std::integer_sequence<int, Indices...>, const Body& body) {
  (body(std::integral_constant<int, Indices>{}), ...);
}

/// Calls body(std::integral_constant<int, i>{}) for i from 0 to Count - 1: an unrolled loop whose index is a constant,
/// as lane numbers of NEON intrinsics must be. Bodies read it as decltype(i)::value, which calls no function.
template <int Count, class Body> EDGEQ_INLINE void for_constants(const Body& body) {
  for_constants(std::make_integer_sequence<int, Count>{}, body);
}

} // namespace edgeq::kernels
