// SPDX-License-Identifier: Apache-2.0
// How the inputs of a layer are divided into weight groups and activation blocks (docs/formats.md).
#pragma once

#include "compiler.h"

namespace edgeq::kernels {

inline constexpr std::size_t kInputMultiple = 32;    // K is padded to a multiple of this
inline constexpr std::size_t kActivationBlock = 128; // longest run of inputs that share an activation scale

/// Weight groups and activation blocks along K. Trivially copyable, so kernels take it by value.
struct Grouping {
  std::size_t k;          // inputs
  std::size_t padded_k;   // k rounded up to kInputMultiple
  std::size_t group_size; // inputs per weight group; padded_k when there is one group per row
  std::size_t groups;     // ceil(k / group_size)

  EDGEQ_MEMBER std::size_t group_end(std::size_t group) const { return smaller((group + 1) * group_size, padded_k); }
  EDGEQ_MEMBER std::size_t blocks_per_group() const { return (group_size + kActivationBlock - 1) / kActivationBlock; }

  /// Index of the activation block that starts at input `start` (a block boundary, or padded_k for their number).
  EDGEQ_MEMBER std::size_t block_index(std::size_t start) const {
    return start / group_size * blocks_per_group() + (start % group_size + kActivationBlock - 1) / kActivationBlock;
  }
  EDGEQ_MEMBER std::size_t blocks() const { return block_index(padded_k); }

  /// End of the activation block that starts at input `start`.
  EDGEQ_MEMBER std::size_t block_end(std::size_t start) const {
    return smaller(start + kActivationBlock, group_end(start / group_size));
  }
};

/// `group_size` as in the operators' attributes: a multiple of 32, or 0 for one group per row. Needs k > 0.
inline Grouping make_grouping(std::size_t k, std::size_t group_size) {
  const std::size_t padded = (k + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
  const std::size_t group = group_size == 0 || group_size > padded ? padded : group_size;
  return {k, padded, group, (padded + group - 1) / group};
}

} // namespace edgeq::kernels
