// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace edgeq::ops {

/// Working memory of one call of an operator: 64-byte aligned, not initialised. Each calling thread keeps the largest
/// buffer it has used, up to 4 MiB, so that the calls of a decoding step allocate nothing. One of each kind at a time
/// per thread.
class Scratch {
public:
  enum class Kind {
    call,  // of the thread that computes a node
    tiles, // of each of the threads that work for it
  };
  /// Throws std::bad_alloc.
  explicit Scratch(std::size_t bytes, Kind kind = Kind::call);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Takes the next `count` objects of type T.
  template <class T> T* take(std::size_t count) {
    T* start = reinterpret_cast<T*>(next_);
    next_ += padded<T>(count);
    return start;
  }

  /// Bytes that take<T>(count) uses. Counts come from tensors in memory, so the product does not overflow.
  template <class T> static constexpr std::size_t padded(std::size_t count) {
    return (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

private:
  static constexpr std::size_t kAlignment = 64;
  Kind kind_;
  unsigned char* next_;
};

} // namespace edgeq::ops
