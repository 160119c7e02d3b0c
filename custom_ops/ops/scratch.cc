// SPDX-License-Identifier: Apache-2.0
#include "scratch.h"

#include <memory>
#include <new>

namespace edgeq::ops {
namespace {

constexpr std::size_t kKeptBytes = std::size_t{4} << 20;
constexpr std::align_val_t kBufferAlignment{64};

struct Deleter {
  void operator()(unsigned char* buffer) const { ::operator delete(buffer, kBufferAlignment); }
};

struct ThreadBuffer {
  std::unique_ptr<unsigned char, Deleter> data;
  std::size_t size = 0;
};

thread_local ThreadBuffer buffers[2]; // by kind

} // namespace

Scratch::Scratch(std::size_t bytes, Kind kind) : kind_(kind) {
  ThreadBuffer& buffer = buffers[static_cast<int>(kind)];
  if (bytes > buffer.size) {
    buffer.size = 0;
    buffer.data.reset(); // before the new one is allocated: they need not exist together
    buffer.data.reset(static_cast<unsigned char*>(::operator new(bytes, kBufferAlignment)));
    buffer.size = bytes;
  }
  next_ = buffer.data.get();
}

Scratch::~Scratch() {
  ThreadBuffer& buffer = buffers[static_cast<int>(kind_)];
  if (buffer.size <= kKeptBytes)
    return;
  buffer.size = 0;
  buffer.data.reset();
}

} // namespace edgeq::ops
