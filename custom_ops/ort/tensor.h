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

/// Owns a description of a tensor's type and shape.
class TypeAndShape {
public:
  TypeAndShape(const Api& api, OrtTensorTypeAndShapeInfo* info) : info_(info, Release{api}) {}

  static TypeAndShape create(const Api& api) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    api.call(CreateTensorTypeAndShapeInfo, &info);
    return {api, info};
  }

  OrtTensorTypeAndShapeInfo* get() const { return info_.get(); }

  ElementType type() const {
    ElementType type{};
    api().call(GetTensorElementType, get(), &type);
    return type;
  }

  Shape shape() const {
    std::size_t rank = 0;
    api().call(GetDimensionsCount, get(), &rank);
    Shape shape(rank);
    api().call(GetDimensions, get(), shape.data(), rank);
    return shape;
  }

private:
  struct Release {
    Api api;
    void operator()(OrtTensorTypeAndShapeInfo* info) const { api.raw(ReleaseTensorTypeAndShapeInfo, info); }
  };
  const Api& api() const { return info_.get_deleter().api; }
  std::unique_ptr<OrtTensorTypeAndShapeInfo, Release> info_;
};

/// A tensor that lives as long as its OrtValue: constant inputs as long as the session, others during one call.
struct Tensor {
  void* data;
  ElementType type;
  Shape shape;

  Tensor(const Api& api, const OrtValue* value) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    api.call(GetTensorTypeAndShape, value, &info);
    TypeAndShape owned(api, info);
    type = owned.type();
    shape = owned.shape();
    api.call(GetTensorMutableData, const_cast<OrtValue*>(value), &data);
  }
};

} // namespace edgeq::ort
