// SPDX-License-Identifier: Apache-2.0
#include "branches.h"

namespace edgeq::ops {
namespace {

/// "W", "W1", "W2", and likewise for other names.
std::string numbered(const char* name, std::size_t branch) {
  return branch == 0 ? name : name + std::to_string(branch);
}

} // namespace

std::size_t weight_input(std::size_t branch) { return 1 + 2 * branch; }

std::string weight_name(std::size_t branch) { return numbered("W", branch); }

std::size_t read_branch_count(const ort::KernelInfo& info) {
  std::size_t count = 1;
  while (count < kMaxBranches && info.has_input(weight_input(count)))
    ++count;
  if (info.output_count() != count)
    throw ort::Error("outputs: found " + std::to_string(info.output_count()) + ", wanted one for each weight, " +
                     std::to_string(count));
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
