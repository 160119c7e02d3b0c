// SPDX-License-Identifier: Apache-2.0
// Memory for weights that are not used where they lie in the model's file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace edgeq::ops {

/// Anonymous memory in huge pages, if the system grants them: reading weights once per token, a processor waits for the
/// page table at every page of 4 KiB. Buffers are cut one after another from regions that are aligned to huge pages, so
/// that small ones share them; a region is given back when its last buffer is gone. Pages count once they are written.
class HugeBuffer {
public:
  HugeBuffer() = default;
  /// `bytes` zeros, aligned to 4096. May be called on any thread. Throws std::bad_alloc.
  explicit HugeBuffer(std::size_t bytes);

  std::uint8_t* data() const { return data_; } // null without memory

private:
  friend class WeakHugeBuffer;
  std::shared_ptr<void> region_;
  std::uint8_t* data_ = nullptr;
};

/// Knows a buffer without keeping its region alive.
class WeakHugeBuffer {
public:
  WeakHugeBuffer() = default;
  explicit WeakHugeBuffer(const HugeBuffer& buffer) : region_(buffer.region_), data_(buffer.data_) {}

  /// The buffer; empty once its region has been given back.
  HugeBuffer lock() const {
    HugeBuffer buffer;
    buffer.region_ = region_.lock();
    buffer.data_ = buffer.region_ == nullptr ? nullptr : data_;
    return buffer;
  }

private:
  std::weak_ptr<void> region_;
  std::uint8_t* data_ = nullptr;
};

/// Why the system grants no huge pages; empty where it does.
std::string huge_pages_obstacle();

} // namespace edgeq::ops
