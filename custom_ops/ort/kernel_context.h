// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tensor.h"

#include <optional>
#include <type_traits>

namespace edgeq::ort {

/// The inputs and outputs of one call, and the session's thread pool.
class KernelContext {
public:
  KernelContext(const Api& api, OrtKernelContext* context) : api_(api), context_(context) {}

  /// Input `index`, or nothing when an optional input is absent.
  std::optional<Tensor> optional_input(std::size_t index) const {
    std::size_t count = 0;
    api_.call(KernelContextGetInputCount, context_, &count);
    if (index >= count)
      return std::nullopt;
    const OrtValue* value = nullptr;
    api_.call(KernelContextGetInput, context_, index, &value);
    if (value == nullptr)
      return std::nullopt;
    return Tensor(api_, value);
  }

  Tensor input(std::size_t index) const {
    auto tensor = optional_input(index);
    if (!tensor)
      throw Error("input " + std::to_string(index) + ": found none, wanted a tensor");
    return std::move(*tensor);
  }

  /// Allocates output `index`; null for a tensor without elements is possible.
  void* output(std::size_t index, const Shape& shape) const {
    OrtValue* value = nullptr;
    void* data = nullptr;
    api_.call(KernelContextGetOutput, context_, index, shape.data(), shape.size(), &value);
    api_.call(GetTensorMutableData, value, &data);
    return data;
  }

  /// Runs task(i) for i in [0, count) on the session's intra-op threads; one task runs on the calling thread.
  template <class Task> void parallel_for(std::size_t count, const Task& task) const {
    static_assert(std::is_nothrow_invocable_v<const Task&, std::size_t>, "tasks run on foreign threads: noexcept");
    if (count == 1)
      return task(0);
    auto trampoline = [](void* user, std::size_t index) { (*static_cast<const Task*>(user))(index); };
    // The fourth argument is the number of batches; 0 hands out one index at a time.
    api_.call(KernelContextParallelFor, context_, static_cast<TaskFunction>(trampoline), count, std::size_t{0},
              const_cast<void*>(static_cast<const void*>(&task)));
  }

private:
  const Api& api_;
  OrtKernelContext* context_;
};

} // namespace edgeq::ort
