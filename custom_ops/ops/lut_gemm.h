// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/lut_gemm.h"
#include "ort/custom_op.h"

namespace edgeq::ops {

/// com.edgeq.LutGemm (docs/operators.md).
class LutGemm {
public:
  static constexpr const char* name = "LutGemm";
  static constexpr std::array<ort::Formal, 3> inputs{{{ort::ElementType::float32},
                                                      {ort::ElementType::uint8},
                                                      {ort::ElementType::float32, ort::Characteristic::optional}}};
  static constexpr std::array<ort::Formal, 1> outputs{{{ort::ElementType::float32}}};

  explicit LutGemm(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference& inference);

private:
  /// Some tokens of a call: checked inputs and the allocated output.
  struct Part {
    const float* x;
    std::size_t tokens;
    const float* bias;
    float* y;
  };
  void look_up(const ort::KernelContext& context, const Part& part) const;
  void multiply(const ort::KernelContext& context, const Part& part) const;
  std::size_t tokens_per_pass() const;
  std::size_t tile_chunks(std::size_t tokens) const;

  kernels::LutGemmKernels kernels_;
  kernels::BcqLayout layout_;
  std::size_t table_bits_;
  const std::uint8_t* weights_;
};

} // namespace edgeq::ops
