// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/sparse_gemm.h"
#include "ort/custom_op.h"

namespace edgeq::ops {

/// com.edgeq.SparseGemm (docs/operators.md).
class SparseGemm {
public:
  static constexpr const char* name = "SparseGemm";
  static constexpr std::array<ort::Formal, 5> inputs{{{ort::ElementType::float32},
                                                      {ort::ElementType::int32},
                                                      {ort::ElementType::uint16},
                                                      {ort::ElementType::float16},
                                                      {ort::ElementType::float32, ort::Characteristic::optional}}};
  static constexpr std::array<ort::Formal, 1> outputs{{{ort::ElementType::float32}}};

  explicit SparseGemm(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference& inference);

private:
  void multiply(const ort::KernelContext& context, kernels::MatmulCsr product) const;

  kernels::SparseGemmKernels kernels_;
  kernels::CsrMatrix weights_;
};

} // namespace edgeq::ops
