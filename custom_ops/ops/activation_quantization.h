// SPDX-License-Identifier: Apache-2.0
// How DintGemm quantizes activations to int8: attributes activation_quantization and activation_scale, inputs row_sums.
#pragma once

#include "branches.h"

#include "kernels/a8_scales.h"

namespace edgeq::ops {

/// X, W and bias of each branch, then the row sums of each.
inline constexpr std::size_t kRowSumsInput = kBranchInputs.size();
inline constexpr auto kQuantizedInputs = [] {
  std::array<ort::Formal, kRowSumsInput + kMaxBranches> inputs{};
  for (std::size_t i = 0; i < inputs.size(); ++i)
    inputs[i] =
        i < kRowSumsInput ? kBranchInputs[i] : ort::Formal{ort::ElementType::float32, ort::Characteristic::optional};
  return inputs;
}();

class ActivationQuantization {
public:
  /// Reads and checks the attributes, which may be absent, and the row sums, which must be there for asymmetric codes
  /// and only then.
  ActivationQuantization(const ort::KernelInfo& info, std::int64_t activation_bits);

  bool asymmetric() const { return scales_.sharing == kernels::A8Sharing::token_asymmetric; }

  /// For the kernels; `offsets`: memory for one float per token, used by asymmetric codes only.
  kernels::A8Scales scales(float* offsets) const {
    kernels::A8Scales scales = scales_;
    scales.offsets = asymmetric() ? offsets : nullptr;
    return scales;
  }

  /// The outputs with the row sums of their weights, where there are some.
  BranchOutputs with_row_sums(BranchOutputs outputs) const;

private:
  kernels::A8Scales scales_;
  std::array<ConstantFloats, kMaxBranches> row_sums_{};
};

/// Of asymmetric codes, x ≈ scale · code − offset: y[token, row] −= offset[token] · row_sums[row], for the rows of
/// tiles [first, last) of a weight of `n` rows.
void subtract_offsets(const BranchOutput& output, const float* offsets, std::size_t tokens, std::size_t n,
                      std::size_t first, std::size_t last);

} // namespace edgeq::ops
