// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "branches.h"
#include "weight_compression.h"

namespace edgeq::ops {

/// The weights of a node that stay compressed in memory. They are decoded in groups of blocks: as many as the decoder
/// takes at once and the second-level cache holds.
class CompressedBranches {
public:
  void add(kernels::CompressedWeight weight, const kernels::UniformLayout& layout);

  bool empty() const { return branches_.empty(); }
  /// Groups of all branches.
  std::size_t groups() const { return groups_; }
  /// Bytes and tiles of the largest group.
  std::size_t group_bytes() const { return group_bytes_; }
  std::size_t group_tiles() const { return group_tiles_; }

  /// Whether a kernel for one token multiplies all of them without decoding them first.
  bool all_nibbles() const;

  /// Calls body(weight, branch, first, last) for the blocks of each branch among groups [first, last).
  template <class Body> void for_blocks(std::size_t first, std::size_t last, const Body& body) const {
    for (std::size_t b = 0; b < branches_.size(); ++b) {
      const Branch& branch = branches_[b];
      const std::size_t begin = std::max(first, branch.first_group);
      const std::size_t end = std::min(last, branch.first_group + branch.groups());
      if (begin < end)
        body(branch.weight, b, (begin - branch.first_group) * branch.blocks,
             std::min((end - branch.first_group) * branch.blocks, branch.weight.blocks()));
    }
  }

  /// Decodes groups [first, last) to `scratch`, of group_bytes(), and calls
  ///   body(layout, weights, branch, first, last)
  /// after each, for its tiles of that branch, where `weights` is where tile 0 would lie.
  template <class Body>
  void for_groups(std::size_t first, std::size_t last, std::uint8_t* scratch, const Body& body) const {
    for (std::size_t b = 0; b < branches_.size(); ++b) {
      const Branch& branch = branches_[b];
      const std::size_t end = std::min(last, branch.first_group + branch.groups());
      for (std::size_t group = std::max(first, branch.first_group); group < end; ++group) {
        const std::size_t block = (group - branch.first_group) * branch.blocks;
        const std::size_t next = std::min(block + branch.blocks, branch.weight.blocks());
        branch.weight.decode(block, next, scratch);
        const std::size_t tile = branch.weight.first_tile(block);
        // Kernels address tiles from the first of the tensor on; computed as a number, as that place is not in
        // `scratch`.
        const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(scratch) - tile * branch.layout.tile_bytes();
        body(branch.layout, reinterpret_cast<const std::uint8_t*>(start), b, tile, branch.weight.first_tile(next));
      }
    }
  }

private:
  struct Branch {
    kernels::CompressedWeight weight;
    kernels::UniformLayout layout;
    std::size_t blocks; // of a group
    std::size_t first_group;
    std::size_t groups() const { return kernels::ceil_div(weight.blocks(), blocks); }
  };
  std::vector<Branch> branches_;
  std::size_t groups_ = 0, group_bytes_ = 0, group_tiles_ = 0;
};

} // namespace edgeq::ops
