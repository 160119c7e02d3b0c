// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ort/custom_op.h"

#include <string>

namespace edgeq::ops {

/// com.edgeq.KernelInfo: which instruction sets the library can use here, as JSON text (docs/operators.md).
class KernelInfoOp {
public:
  static constexpr const char* name = "KernelInfo";
  static constexpr std::array<ort::Formal, 0> inputs{};
  static constexpr std::array<ort::Formal, 1> outputs{{{ort::ElementType::uint8}}};

  explicit KernelInfoOp(const ort::KernelInfo& info);
  void compute(const ort::KernelContext& context) const;
  static void infer_shapes(const ort::ShapeInference&) {}

private:
  std::string json_;
};

} // namespace edgeq::ops
