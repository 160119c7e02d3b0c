// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "activation_quantization.h"
#include "compressed_branches.h"

#include "kernels/dint_gemm.h"

namespace edgeq::ops {

/// com.edgeq.DintGemm (docs/operators.md).
class DintGemm {
public:
  static constexpr const char* name = "DintGemm";
  static constexpr auto inputs = kQuantizedInputs;
  static constexpr auto outputs = kBranchOutputs;

  explicit DintGemm(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference& inference);

private:
  /// One call: checked inputs and the allocated output.
  struct Call {
    const float* x;
    std::size_t tokens;
    BranchOutputs outputs;
  };
  void compute_a8(const ort::KernelContext& context, const Call& call) const;
  void compute_f32(const ort::KernelContext& context, const Call& call) const;
  void compute_bf16(const ort::KernelContext& context, const Call& call) const;
  void compute_f32_prompt(const ort::KernelContext& context, const Call& call) const;
  /// Calls kernel(layout, weights, output, first, last) for the tiles of every branch, on all threads.
  template <class Kernel>
  void multiply(const ort::KernelContext& context, const Call& call, const Kernel& kernel) const;
  template <class Kernel>
  void multiply_compressed(const ort::KernelContext& context, const Call& call, const Kernel& kernel) const;
  /// One token by nibbles that are not decoded first.
  void multiply_nibbles(const ort::KernelContext& context, const Call& call, const kernels::A8Panels& x,
                        const float* offsets) const;
  /// A branch's weight as attribute `weight_compression` says; one that stays compressed goes to compressed_.
  PackedWeight read_weight(const ort::KernelInfo& info, const kernels::UniformLayout& layout, std::size_t branch);
  /// Tiles that chunks are made of.
  std::size_t tiles_per_step(std::size_t tokens) const;
  std::size_t step_chunks(std::size_t steps, std::size_t tiles_per_step, std::size_t tokens) const;

  kernels::UniformLayout layout_; // of the first branch
  kernels::DintGemmKernels kernels_;
  std::int64_t activation_bits_;
  ActivationQuantization quantization_;
  WeightCompression compression_;
  CompressedBranches compressed_; // the weights of all branches, or of none
  kernels::MatmulA8NibbleFunction matmul_nibbles_ = nullptr;
  Branches<kernels::UniformLayout> branches_;
};

} // namespace edgeq::ops
