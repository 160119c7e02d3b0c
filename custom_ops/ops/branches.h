// SPDX-License-Identifier: Apache-2.0
// Several weights that multiply the same input in one operator, such as q, k and v or gate and up: activations are
// prepared once, and one parallel region covers the tiles of all.
#pragma once

#include "packed_weight.h"
#include "weights.h"

#include <array>

namespace edgeq::ops {

inline constexpr std::size_t kMaxBranches = 3;

/// X, then W and bias of each branch.
inline constexpr std::array<ort::Formal, 1 + 2 * kMaxBranches> kBranchInputs{
    {{ort::ElementType::float32},
     {ort::ElementType::uint8},
     {ort::ElementType::float32, ort::Characteristic::optional},
     {ort::ElementType::uint8, ort::Characteristic::optional},
     {ort::ElementType::float32, ort::Characteristic::optional},
     {ort::ElementType::uint8, ort::Characteristic::optional},
     {ort::ElementType::float32, ort::Characteristic::optional}}};
inline constexpr std::array<ort::Formal, kMaxBranches> kBranchOutputs{
    {{ort::ElementType::float32},
     {ort::ElementType::float32, ort::Characteristic::optional},
     {ort::ElementType::float32, ort::Characteristic::optional}}};

/// What one branch adds and where it writes, in one call.
struct BranchOutput {
  const float* bias;               // [n], or null
  float* y;                        // [tokens, n]
  const float* row_sums = nullptr; // [n], where activations have zero points: of the weight
};
using BranchOutputs = std::array<BranchOutput, kMaxBranches>;

/// Number of branches of a node; throws Error unless it has one output for each weight, and no bias without a weight.
std::size_t read_branch_count(const ort::KernelInfo& info);

/// Attribute N, N1 or N2.
std::size_t read_branch_rows(const ort::KernelInfo& info, std::size_t branch);

/// Input of a branch's weight, and its name: "W", "W1" or "W2".
std::size_t weight_input(std::size_t branch);
std::string weight_name(std::size_t branch);

/// The constant packed weight of a branch, which must have exactly `bytes` bytes.
PackedWeight branch_weight(const ort::KernelInfo& info, std::size_t branch, std::size_t bytes);

/// The bias of a branch of `n` rows.
Bias branch_bias(const ort::KernelInfo& info, std::size_t branch, std::size_t n);

/// The weights of a node. Their layouts differ in the number of rows only.
template <class Layout> class Branches {
public:
  /// Reads and checks inputs and outputs; `layout` is the first branch's. read(layout, branch) is a branch's
  /// PackedWeight.
  template <class Read>
  Branches(const ort::KernelInfo& info, const Layout& layout, const Read& read) : count_(read_branch_count(info)) {
    for (std::size_t b = 0; b < count_; ++b) {
      Branch& branch = branches_[b];
      branch.layout = layout;
      branch.layout.n = read_branch_rows(info, b);
      branch.weights = read(branch.layout, b);
      branch.bias = branch_bias(info, b, branch.layout.n);
      branch.first_tile = tiles_;
      tiles_ += branch.layout.tiles();
    }
  }

  /// Tiles of all branches.
  std::size_t tiles() const { return tiles_; }

  /// Checks biases and allocates outputs for activations of shape `x`.
  BranchOutputs outputs(const ort::KernelContext& context, const ort::Shape& x) const {
    BranchOutputs outputs{};
    for (std::size_t b = 0; b < count_; ++b) {
      const std::size_t n = branches_[b].layout.n;
      outputs[b] = {branches_[b].bias.data(context), static_cast<float*>(context.output(b, output_shape(x, n)))};
    }
    return outputs;
  }

  /// The outputs from token `first` on.
  BranchOutputs after(BranchOutputs outputs, std::size_t first) const {
    for (std::size_t b = 0; b < count_; ++b)
      outputs[b].y += first * branches_[b].layout.n;
    return outputs;
  }

  /// Calls body(layout, weights, branch, first, last) for the tiles of each branch among tiles [first, last) of all.
  template <class Body> void for_tiles(std::size_t first, std::size_t last, const Body& body) const {
    for (std::size_t b = 0; b < count_; ++b) {
      const Branch& branch = branches_[b];
      const std::size_t begin = std::max(first, branch.first_tile);
      const std::size_t end = std::min(last, branch.first_tile + branch.layout.tiles());
      if (begin < end)
        body(branch.layout, branch.weights.data(), b, begin - branch.first_tile, end - branch.first_tile);
    }
  }

private:
  struct Branch {
    Layout layout;
    PackedWeight weights;
    Bias bias;
    std::size_t first_tile; // among the tiles of all branches
  };
  std::size_t count_;
  std::array<Branch, kMaxBranches> branches_{};
  std::size_t tiles_ = 0;
};

} // namespace edgeq::ops
