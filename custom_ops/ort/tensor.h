// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api.h"

#include <memory>
#include <string>
#include <vector>

namespace edgeq::ort {

using Shape = std::vector<std::int64_t>;

inline std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

inline ElementType element_type(const Api& api, const OrtTensorTypeAndShapeInfo* info) {
  ElementType type{};
  api.call(GetTensorElementType, info, &type);
  return type;
}

inline Shape dimensions(const Api& api, const OrtTensorTypeAndShapeInfo* info) {
  std::size_t rank = 0;
  api.call(GetDimensionsCount, info, &rank);
  Shape shape(rank);
  api.call(GetDimensions, info, shape.data(), rank);
  return shape;
}

struct ReleaseTypeAndShape {
  Api api;
  void operator()(OrtTensorTypeAndShapeInfo* info) const { api.raw(ReleaseTensorTypeAndShapeInfo, info); }
};

/// Owns a description of a tensor's type and shape.
using TypeAndShape = std::unique_ptr<OrtTensorTypeAndShapeInfo, ReleaseTypeAndShape>;

/// A tensor that lives as long as its OrtValue: constant inputs as long as the session, others during one call.
struct Tensor {
  void* data;
  ElementType type;
  Shape shape;

  Tensor(const Api& api, const OrtValue* value) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    api.call(GetTensorTypeAndShape, value, &info);
    const TypeAndShape owner(info, {api});
    type = element_type(api, info);
    shape = dimensions(api, info);
    api.call(GetTensorMutableData, const_cast<OrtValue*>(value), &data);
  }
};

} // namespace edgeq::ort
