// SPDX-License-Identifier: Apache-2.0
#include "compressed_branches.h"

#include <unistd.h>

namespace edgeq::ops {
namespace {

constexpr std::size_t kLeastGroups = 4; // of a weight, for as many threads

/// Half of a core's second-level cache; of 1 MiB where the system does not tell.
std::size_t cached_bytes() {
  constexpr long kUnknown = 1 << 20;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
#else
  const long size = 0;
#endif
  return static_cast<std::size_t>(size > 0 ? size : kUnknown) / 2;
}

} // namespace

void CompressedBranches::add(kernels::CompressedWeight weight, const kernels::UniformLayout& layout) {
  const std::size_t tiles = weight.first_tile(1); // of a block; the last may have fewer
  const std::size_t fitting = std::max<std::size_t>(1, cached_bytes() / (tiles * layout.tile_bytes()));
  const std::size_t shared = kernels::ceil_div(weight.blocks(), kLeastGroups);
  const std::size_t blocks = std::min({weight.blocks_at_once(), fitting, shared});
  branches_.push_back({std::move(weight), layout, blocks, groups_});
  group_tiles_ = std::max(group_tiles_, branches_.back().weight.first_tile(blocks));
  group_bytes_ = group_tiles_ * layout.tile_bytes();
  groups_ += branches_.back().groups();
}

bool CompressedBranches::all_nibbles() const {
  return std::all_of(branches_.begin(), branches_.end(), [](const Branch& b) { return b.weight.has_nibbles(); });
}

} // namespace edgeq::ops
