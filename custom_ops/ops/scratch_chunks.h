// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "scratch.h"
#include "weights.h"

#include <atomic>
#include <new>

namespace edgeq::ops {

/// As for_chunks(), with `bytes` of the thread's own memory: body(first, last, memory). Throws std::bad_alloc where a
/// thread has none.
template <class Body>
void for_chunks_with_scratch(const ort::KernelContext& context, std::size_t items, std::size_t chunks,
                             std::size_t bytes, const Body& body) {
  std::atomic<bool> out_of_memory{false};
  for_chunks(context, items, chunks, [&](std::size_t first, std::size_t last) {
    try {
      Scratch scratch(bytes, Scratch::Kind::tiles);
      body(first, last, scratch.take<std::uint8_t>(bytes));
    } catch (const std::bad_alloc&) { // no exception may leave a task
      out_of_memory = true;
    }
  });
  if (out_of_memory)
    throw std::bad_alloc();
}

} // namespace edgeq::ops
