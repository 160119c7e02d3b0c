// SPDX-License-Identifier: Apache-2.0
#include "activation_quantization.h"

#include "kernels/uniform_layout.h"

#include <cmath>

namespace edgeq::ops {
namespace {

kernels::A8Sharing read_sharing(const ort::KernelInfo& info, std::int64_t activation_bits) {
  const std::string name = info.string_or("activation_quantization", "block");
  if (activation_bits != 8 && name != "block")
    throw ort::Error("attribute activation_quantization: found '" + name + "' with " + std::to_string(activation_bits) +
                     "-bit activations, wanted none");
  if (name == "block")
    return kernels::A8Sharing::block;
  if (name == "token")
    return kernels::A8Sharing::token;
  if (name == "token_asym")
    return kernels::A8Sharing::token_asymmetric;
  if (name == "static")
    return kernels::A8Sharing::fixed;
  throw ort::Error("attribute activation_quantization: found '" + name +
                   "', wanted 'block', 'token', 'token_asym' or 'static'");
}

float read_scale(const ort::KernelInfo& info) {
  const float scale = info.float32("activation_scale");
  if (!(scale > 0) || std::isinf(scale))
    throw ort::Error("attribute activation_scale: found " + std::to_string(scale) + ", wanted a positive number");
  return scale;
}

ConstantFloats read_row_sums(const ort::KernelInfo& info, std::size_t branch) {
  const std::size_t input = kRowSumsInput + branch;
  const std::string name = "input row_sums" + (branch == 0 ? "" : std::to_string(branch));
  const std::optional<ort::Tensor> sums = info.has_input(input) ? info.constant_input(input) : std::nullopt;
  if (!sums)
    throw ort::Error(name + ": found no constant, wanted the sums of the weight's rows for 'token_asym'");
  const ort::Shape wanted{static_cast<std::int64_t>(read_branch_rows(info, branch))};
  if (sums->type != ort::ElementType::float32 || sums->shape != wanted)
    throw ort::Error(name + ": found shape " + ort::to_string(sums->shape) + ", wanted float32 " +
                     ort::to_string(wanted));
  return {sums->data, static_cast<std::size_t>(wanted[0])};
}

} // namespace

ActivationQuantization::ActivationQuantization(const ort::KernelInfo& info, std::int64_t activation_bits) {
  scales_.sharing = read_sharing(info, activation_bits);
  if (scales_.sharing == kernels::A8Sharing::fixed)
    scales_.fixed = read_scale(info);
  const std::size_t branches = read_branch_count(info);
  for (std::size_t branch = 0; branch < kMaxBranches; ++branch)
    if (asymmetric() && branch < branches)
      row_sums_[branch] = read_row_sums(info, branch);
    else if (info.has_input(kRowSumsInput + branch))
      throw ort::Error("inputs row_sums: found one too many, wanted one for each weight with 'token_asym', else none");
}

BranchOutputs ActivationQuantization::with_row_sums(BranchOutputs outputs) const {
  for (std::size_t branch = 0; branch < kMaxBranches; ++branch)
    outputs[branch].row_sums = row_sums_[branch].data();
  return outputs;
}

void subtract_offsets(const BranchOutput& output, const float* offsets, std::size_t tokens, std::size_t n,
                      std::size_t first, std::size_t last) {
  const std::size_t begin = first * kernels::kUniformTileRows, end = std::min(last * kernels::kUniformTileRows, n);
  for (std::size_t token = 0; token < tokens; ++token)
    for (std::size_t row = begin; row < end; ++row)
      output.y[token * n + row] -= offsets[token] * output.row_sums[row];
}

} // namespace edgeq::ops
