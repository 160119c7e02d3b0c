// SPDX-License-Identifier: Apache-2.0
#include "weights.h"

#include "kernels/sizes.h"

#include <cstring>

namespace edgeq::ops {

WeightShape read_weight_shape(const ort::KernelInfo& info) {
  const std::size_t k = info.size("K", 1, kMaxFeatures), n = info.size("N", 1, kMaxFeatures);
  const std::size_t group_size = info.size("group_size", 0, kMaxFeatures);
  if (group_size % kernels::kInputMultiple != 0)
    throw ort::Error("attribute group_size: found " + std::to_string(group_size) + ", wanted a multiple of 32, or 0");
  return {n, kernels::make_grouping(k, group_size)};
}

Bytes constant_bytes(const ort::KernelInfo& info, std::size_t input, const std::string& name) {
  const std::optional<ort::Tensor> weight = info.constant_input(input);
  if (!weight)
    throw ort::Error("input " + name + ": found a computed tensor, wanted a constant initializer");
  if (weight->type != ort::ElementType::uint8)
    throw ort::Error("input " + name + ": found another element type, wanted uint8");
  if (weight->shape.size() != 1)
    throw ort::Error("input " + name + ": found shape " + ort::to_string(weight->shape) + ", wanted one dimension");
  return {static_cast<const std::uint8_t*>(weight->data), static_cast<std::size_t>(weight->shape[0])};
}

const std::uint8_t* packed_weight(const ort::KernelInfo& info, std::size_t bytes, std::size_t input,
                                  const std::string& name) {
  const Bytes found = constant_bytes(info, input, name);
  if (found.size != bytes)
    throw ort::Error("input " + name + ": found shape [" + std::to_string(found.size) + "], wanted [" +
                     std::to_string(bytes) + "]");
  return found.data;
}

std::size_t token_count(const ort::Tensor& x, std::size_t k) {
  if (x.shape.empty() || x.shape.back() != static_cast<std::int64_t>(k))
    throw ort::Error("input X: found shape " + ort::to_string(x.shape) + ", wanted [..., " + std::to_string(k) + "]");
  std::size_t tokens = 1;
  for (std::size_t i = 0; i + 1 < x.shape.size(); ++i)
    tokens = kernels::checked_product(tokens, static_cast<std::size_t>(x.shape[i]));
  return tokens;
}

ConstantFloats::ConstantFloats(const void* data, std::size_t count) {
  if (reinterpret_cast<std::uintptr_t>(data) % alignof(float) == 0) {
    data_ = static_cast<const float*>(data);
    return;
  }
  copy_.resize(count);
  std::memcpy(copy_.data(), data, count * sizeof(float));
}

Bias::Bias(const ort::KernelInfo& info, std::size_t input, std::string name, std::size_t n)
    : input_(input), name_(std::move(name)), n_(n) {
  if (!info.has_input(input))
    return;
  const std::optional<ort::Tensor> bias = info.constant_input(input);
  computed_ = !bias;
  if (bias)
    constant_ = {check(*bias), n};
}

const float* Bias::data(const ort::KernelContext& context) const {
  return computed_ ? static_cast<const float*>(check(context.input(input_))) : constant_.data();
}

const void* Bias::check(const ort::Tensor& bias) const {
  if (bias.shape != ort::Shape{static_cast<std::int64_t>(n_)})
    throw ort::Error("input " + name_ + ": found shape " + ort::to_string(bias.shape) + ", wanted [" +
                     std::to_string(n_) + "]");
  return bias.data;
}

ort::Shape output_shape(const ort::Shape& x, std::size_t n) {
  ort::Shape shape = x;
  shape.back() = static_cast<std::int64_t>(n);
  return shape;
}

void infer_matmul_shape(const ort::ShapeInference& inference) {
  std::optional<ort::SymbolicShape> shape = inference.input(0);
  if (!shape)
    return;
  shape->values.back() = inference.int64("N");
  shape->names.back().clear();
  inference.set_output(0, ort::ElementType::float32, *shape);
}

std::size_t chunk_count(std::size_t items, double work_per_item, double least_work) {
  const double chunks = static_cast<double>(items) * work_per_item / least_work;
  const std::size_t count = std::min(items, static_cast<std::size_t>(std::clamp(chunks, 1.0, 64.0)));
  return count < 2 ? count : count / 2 * 2; // two threads finish together
}

} // namespace edgeq::ops
