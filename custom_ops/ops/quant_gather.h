// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weight_compression.h"

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
  void decode_row(const std::uint8_t* weights, std::size_t row, float* out) const;
  /// Decodes the block of each row, unless it is that of the row before.
  void gather_compressed(const ort::KernelContext& context, const std::int64_t* wanted, std::size_t count,
                         float* y) const;

  std::variant<kernels::UniformLayout, kernels::BcqLayout> layout_;
  std::optional<kernels::CompressedWeight> compressed_; // a weight that stays compressed
  PackedWeight decoded_;                                // of one that was decoded
  const std::uint8_t* weights_ = nullptr;               // null where it stays compressed
};

} // namespace edgeq::ops
