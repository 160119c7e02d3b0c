// SPDX-License-Identifier: Apache-2.0
// Size arithmetic on untrusted shapes.
#pragma once

#include <cstddef>
#include <stdexcept>

namespace edgeq::kernels {

/// a·b; throws std::invalid_argument when it does not fit into size_t.
inline std::size_t checked_product(std::size_t a, std::size_t b) {
  std::size_t product = 0;
  if (__builtin_mul_overflow(a, b, &product))
    throw std::invalid_argument("K, N: found a tensor too large to address");
  return product;
}

/// a + b; throws std::invalid_argument when it does not fit into size_t.
inline std::size_t checked_sum(std::size_t a, std::size_t b) {
  std::size_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum))
    throw std::invalid_argument("K, N: found a tensor too large to address");
  return sum;
}

inline std::size_t ceil_div(std::size_t a, std::size_t b) { return a / b + (a % b != 0 ? 1 : 0); }

} // namespace edgeq::kernels
