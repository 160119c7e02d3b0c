// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tensor.h"

#include <limits>
#include <optional>

namespace edgeq::ort {

/// What is known when a kernel is created: the node's name, its attributes, its constant inputs.
class KernelInfo {
public:
  KernelInfo(const Api& api, const OrtKernelInfo* info) : api_(api), info_(info) {}

  std::string node_name() const {
    return read_string(
               [&](char* text, std::size_t* size) { return api_.try_call(KernelInfoGetNodeName, info_, text, size); })
        .value_or("");
  }

  /// Reads an integer attribute; throws Error when it is absent.
  std::int64_t int64(const char* name) const {
    std::int64_t value = 0;
    if (!api_.try_call(KernelInfoGetAttributeInt64, info_, name, &value))
      throw Error("attribute " + std::string(name) + ": found none, wanted an integer");
    return value;
  }

  /// Reads a float attribute; throws Error when it is absent.
  float float32(const char* name) const {
    float value = 0;
    if (!api_.try_call(KernelInfoGetAttributeFloat, info_, name, &value))
      throw Error("attribute " + std::string(name) + ": found none, wanted a number");
    return value;
  }

  /// Reads an integer attribute that may be absent; throws Error when it is a number or a string of another type.
  std::int64_t int64_or(const char* name, std::int64_t absent) const {
    std::int64_t value = 0;
    if (api_.try_call(KernelInfoGetAttributeInt64, info_, name, &value))
      return value;
    float number = 0;
    if (api_.try_call(KernelInfoGetAttributeFloat, info_, name, &number) || read_text(name))
      throw Error("attribute " + std::string(name) + ": found another type, wanted an integer");
    return absent;
  }

  /// Reads an integer attribute that must lie in [low, high]; throws Error otherwise.
  std::size_t size(const char* name, std::int64_t low, std::int64_t high) const {
    std::int64_t value = int64(name);
    if (value < low || value > high)
      throw Error("attribute " + std::string(name) + ": found " + std::to_string(value) + ", wanted " +
                  std::to_string(low) + " to " + std::to_string(high));
    return static_cast<std::size_t>(value);
  }

  std::string string(const char* name) const {
    auto value = read_text(name);
    if (!value)
      throw Error("attribute " + std::string(name) + ": found none, wanted a string");
    return *value;
  }

  /// Reads a string attribute that may be absent; throws Error when it is a number.
  std::string string_or(const char* name, std::string absent) const {
    if (auto value = read_text(name))
      return *value;
    std::int64_t integer = 0;
    float number = 0;
    if (api_.try_call(KernelInfoGetAttributeInt64, info_, name, &integer) ||
        api_.try_call(KernelInfoGetAttributeFloat, info_, name, &number))
      throw Error("attribute " + std::string(name) + ": found another type, wanted a string");
    return absent;
  }

  /// Whether the node has input `index`: an optional input that is left out has no name.
  bool has_input(std::size_t index) const {
    std::size_t count = 0;
    api_.call(KernelInfoGetInputCount, info_, &count);
    if (index >= count)
      return false;
    const auto name = read_string(
        [&](char* text, std::size_t* size) { return api_.try_call(KernelInfoGetInputName, info_, index, text, size); });
    return name && !name->empty();
  }

  /// The outputs of the node, those that are left out, which have no name, among them.
  std::size_t output_count() const {
    std::size_t count = 0;
    api_.call(KernelInfoGetOutputCount, info_, &count);
    return count;
  }

  /// Whether output `index`, below output_count(), is not left out.
  bool has_output(std::size_t index) const {
    const auto name = read_string([&](char* text, std::size_t* size) {
      return api_.try_call(KernelInfoGetOutputName, info_, index, text, size);
    });
    return name && !name->empty();
  }

  /// The constant initializer at input `index`, or nothing when the input is computed at run time.
  std::optional<Tensor> constant_input(std::size_t index) const {
    int constant = 0;
    const OrtValue* value = nullptr;
    api_.call(KernelInfoGetConstantInputTensor, info_, index, &constant, &value);
    if (constant == 0 || value == nullptr)
      return std::nullopt;
    return Tensor(api_, value);
  }

private:
  std::optional<std::string> read_text(const char* attribute) const {
    return read_string([&](char* text, std::size_t* size) {
      return api_.try_call(KernelInfoGetAttributeString, info_, attribute, text, size);
    });
  }

  /// ONNX Runtime's way of returning strings: ask for the size (with the final zero), then for the text.
  template <class Read> static std::optional<std::string> read_string(Read&& read) {
    std::size_t size = 0;
    if (!read(static_cast<char*>(nullptr), &size) || size == 0)
      return std::nullopt;
    std::string text(size, '\0');
    if (!read(text.data(), &size))
      return std::nullopt;
    text.resize(size - 1);
    return text;
  }

  const Api& api_;
  const OrtKernelInfo* info_;
};

} // namespace edgeq::ort
