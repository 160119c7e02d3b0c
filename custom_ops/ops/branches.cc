// SPDX-License-Identifier: Apache-2.0
#include "branches.h"

namespace edgeq::ops {
namespace {

/// "W", "W1", "W2", and likewise for other names.
std::string numbered(const char* name, std::size_t branch) {
  return branch == 0 ? name : name + std::to_string(branch);
}

/// Checks that there is nothing of the branches from `count` on, the first without a weight.
void refuse_inputs_from(const ort::KernelInfo& info, std::size_t count) {
  for (std::size_t branch = count; branch < kMaxBranches; ++branch)
    for (std::size_t part = 0; part < 2; ++part)
      if (info.has_input(weight_input(branch) + part))
        throw ort::Error("input " + numbered(part == 0 ? "W" : "bias", branch) +
                         ": found a tensor, wanted none without " + weight_name(count));
}

/// Checks that the node has `count` outputs, none of them left out.
void check_outputs(const ort::KernelInfo& info, std::size_t count) {
  if (info.output_count() != count)
    throw ort::Error("outputs: found " + std::to_string(info.output_count()) + ", wanted one for each weight, " +
                     std::to_string(count));
  for (std::size_t branch = 0; branch < count; ++branch)
    if (!info.has_output(branch))
      throw ort::Error("output " + numbered("Y", branch) + ": found none, wanted one for each weight");
}

} // namespace

std::size_t weight_input(std::size_t branch) { return 1 + 2 * branch; }

std::string weight_name(std::size_t branch) { return numbered("W", branch); }

std::size_t read_branch_count(const ort::KernelInfo& info) {
  std::size_t count = 1;
  while (count < kMaxBranches && info.has_input(weight_input(count)))
    ++count;
  refuse_inputs_from(info, count);
  check_outputs(info, count);
  return count;
}

std::size_t read_branch_rows(const ort::KernelInfo& info, std::size_t branch) {
  return info.size(numbered("N", branch).c_str(), 1, kMaxFeatures);
}

PackedWeight branch_weight(const ort::KernelInfo& info, std::size_t branch, std::size_t bytes) {
  return {packed_weight(info, bytes, weight_input(branch), weight_name(branch)), bytes};
}

Bias branch_bias(const ort::KernelInfo& info, std::size_t branch, std::size_t n) {
  return {info, weight_input(branch) + 1, numbered("bias", branch), n};
}

} // namespace edgeq::ops
