// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/bcq_layout.h"
#include "kernels/uniform_layout.h"
#include "ort/custom_op.h"

#include <variant>

namespace edgeq::ops {

/// com.edgeq.QuantGather (docs/operators.md).
class QuantGather {
public:
  static constexpr const char* name = "QuantGather";
  static constexpr std::array<ort::Formal, 2> inputs{{{ort::ElementType::int64}, {ort::ElementType::uint8}}};
  static constexpr std::array<ort::Formal, 1> outputs{{{ort::ElementType::float32}}};

  explicit QuantGather(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference& inference);

private:
  std::size_t rows() const;
  std::size_t columns() const;
  void decode_row(std::size_t row, float* out) const;

  std::variant<kernels::UniformLayout, kernels::BcqLayout> layout_;
  const std::uint8_t* weights_;
};

} // namespace edgeq::ops
