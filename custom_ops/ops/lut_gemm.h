// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "branches.h"

#include "kernels/lut_gemm.h"

namespace edgeq::ops {

/// com.edgeq.LutGemm (docs/operators.md).
class LutGemm {
public:
  static constexpr const char* name = "LutGemm";
  static constexpr auto inputs = kBranchInputs;
  static constexpr auto outputs = kBranchOutputs;

  explicit LutGemm(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference& inference);

private:
  /// Some tokens of a call: checked inputs and the allocated output.
  struct Part {
    const float* x;
    std::size_t tokens;
    BranchOutputs outputs;
  };
  void look_up(const ort::KernelContext& context, const Part& part) const;
  void multiply_f32(const ort::KernelContext& context, const Part& part) const;
  void multiply_a8(const ort::KernelContext& context, const Part& part) const;
  /// Calls kernel(layout, weights, output, first, last) for the tiles of every branch, on all threads.
  template <class Kernel>
  void for_tiles(const ort::KernelContext& context, const Part& part, const Kernel& kernel) const;
  std::size_t tokens_per_pass() const;
  std::size_t tile_pairs() const; // kernels read two tiles in turns
  std::size_t pair_chunks(std::size_t tokens) const;

  kernels::LutGemmKernels kernels_;
  kernels::BcqLayout layout_; // of the first branch
  std::size_t table_bits_;
  Branches<kernels::BcqLayout> branches_;
};

} // namespace edgeq::ops
