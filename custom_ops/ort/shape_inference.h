// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tensor.h"

#include <optional>

namespace edgeq::ort {

/// A shape at graph time: a dimension is a number, or a name with value -1.
struct SymbolicShape {
  Shape values;
  std::vector<std::string> names;

  void push_back(std::int64_t value) {
    values.push_back(value);
    names.emplace_back();
  }
};

/// Shape inference of one node. Symbolic names must be passed on: a bare -1 would become the literal size -1.
class ShapeInference {
public:
  ShapeInference(const Api& api, OrtShapeInferContext* context) : api_(api), context_(context) {}

  std::int64_t int64(const char* name) const {
    const OrtOpAttr* attribute = nullptr;
    std::int64_t value = 0;
    std::size_t size = 0;
    api_.call(ShapeInferContextGetAttribute, context_, name, &attribute);
    api_.call(ReadOpAttr, attribute, AttributeType::int64, &value, sizeof value, &size);
    return value;
  }

  /// The shape of input `index`; nothing when it is unknown, scalar, or has a dimension with neither value nor name.
  std::optional<SymbolicShape> input(std::size_t index) const {
    OrtTensorTypeAndShapeInfo* info = nullptr; // belongs to the context
    api_.call(ShapeInferContextGetInputTypeShape, context_, index, &info);
    SymbolicShape shape{dimensions(api_, info), {}};
    std::vector<const char*> names(shape.values.size(), nullptr);
    api_.call(GetSymbolicDimensions, info, names.data(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      shape.names.emplace_back(names[i] == nullptr ? "" : names[i]);
      if (shape.values[i] < 0 && shape.names[i].empty())
        return std::nullopt;
    }
    if (shape.values.empty())
      return std::nullopt;
    return shape;
  }

  void set_output(std::size_t index, ElementType type, const SymbolicShape& shape) const {
    OrtTensorTypeAndShapeInfo* created = nullptr;
    api_.call(CreateTensorTypeAndShapeInfo, &created);
    const TypeAndShape info(created, {api_});
    std::vector<const char*> names;
    for (const std::string& name : shape.names)
      names.push_back(name.c_str());
    api_.call(SetTensorElementType, info.get(), type);
    api_.call(SetDimensions, info.get(), shape.values.data(), shape.values.size());
    api_.call(SetSymbolicDimensions, info.get(), names.data(), names.size());
    api_.call(ShapeInferContextSetOutputTypeShape, context_, index, info.get());
  }

private:
  const Api& api_;
  OrtShapeInferContext* context_;
};

} // namespace edgeq::ort
