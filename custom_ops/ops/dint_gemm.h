// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/dint_gemm.h"
#include "ort/custom_op.h"

namespace edgeq::ops {

/// com.edgeq.DintGemm (docs/operators.md).
class DintGemm {
public:
  static constexpr const char* name = "DintGemm";
  static constexpr std::array<ort::Formal, 3> inputs{{{ort::ElementType::float32},
                                                      {ort::ElementType::uint8},
                                                      {ort::ElementType::float32, ort::Characteristic::optional}}};
  static constexpr std::array<ort::Formal, 1> outputs{{{ort::ElementType::float32}}};

  explicit DintGemm(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference& inference);

private:
  /// One call: checked inputs and the allocated output.
  struct Call {
    const float* x;
    std::size_t tokens;
    const float* bias;
    float* y;
  };
  void compute_a8(const ort::KernelContext& context, const Call& call) const;
  void compute_f32(const ort::KernelContext& context, const Call& call) const;
  std::size_t tile_chunks(std::size_t tokens) const;

  kernels::DintGemmKernels kernels_;
  kernels::UniformLayout layout_;
  bool float_activations_;
  const std::uint8_t* weights_;
};

} // namespace edgeq::ops
