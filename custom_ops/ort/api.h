// SPDX-License-Identifier: Apache-2.0
// Calls into ONNX Runtime, errors in both directions. No exception may cross the C ABI: everything that ONNX Runtime
// calls goes through guard().
#pragma once

#include "abi.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace edgeq::ort {

/// A failure to be reported to ONNX Runtime with its error code.
class Error : public std::runtime_error {
public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  explicit Error(const std::string& message) : Error(ErrorCode::invalid_argument, message) {}
  ErrorCode code() const { return code_; }

private:
  ErrorCode code_;
};

/// Typed access to the function table of one ONNX Runtime (several may live in one process).
class Api {
public:
  explicit Api(const OrtApi* table) : table_(reinterpret_cast<void* const*>(table)) {}

  /// Calls a function that cannot fail.
  template <class R, class... P, class... A> R raw(Slot<R(P...)> slot, A... arguments) const {
    return reinterpret_cast<R (*)(P...)>(table_[slot.index])(static_cast<P>(arguments)...);
  }

  /// Calls a function that returns a status; throws Error when it failed.
  template <class... P, class... A> void call(Slot<OrtStatus*(P...)> slot, A... arguments) const {
    OrtStatus* status = raw(slot, arguments...);
    if (status == nullptr)
      return;
    std::string message = raw(GetErrorMessage, status);
    raw(ReleaseStatus, status);
    throw Error(ErrorCode::fail, message);
  }

  /// Calls a function that returns a status; false when it failed.
  template <class... P, class... A> bool try_call(Slot<OrtStatus*(P...)> slot, A... arguments) const {
    OrtStatus* status = raw(slot, arguments...);
    if (status != nullptr)
      raw(ReleaseStatus, status);
    return status == nullptr;
  }

  OrtStatus* status(ErrorCode code, const char* message) const noexcept { return raw(CreateStatus, code, message); }

private:
  void* const* table_;
};

/// Runs `body`; turns any exception into a status whose message starts with `where`.
template <class Body> OrtStatus* guard(const Api& api, const std::string& where, Body&& body) noexcept {
  auto fail = [&](ErrorCode code, const char* what) noexcept {
    try {
      return api.status(code, (where + what).c_str());
    } catch (...) { // out of memory while composing the message
      return api.status(code, "edgeq: out of memory");
    }
  };
  try {
    std::forward<Body>(body)();
    return nullptr;
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::invalid_argument& error) {
    return fail(ErrorCode::invalid_argument, error.what());
  } catch (const std::exception& error) {
    return fail(ErrorCode::runtime_exception, error.what());
  } catch (...) {
    return fail(ErrorCode::runtime_exception, "unknown failure");
  }
}

} // namespace edgeq::ort
