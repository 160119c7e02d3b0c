// SPDX-License-Identifier: Apache-2.0
#include "pack_bf16_driver.h"

namespace edgeq::kernels {
namespace {

/// The upper half of a float after rounding.
EDGEQ_INLINE std::uint16_t to_bf16(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude < 0x00800000U)
    return static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  if (magnitude > 0x7f800000U) // rounding might make an infinity of a NaN
    return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

struct Generic {
  static constexpr std::size_t kRun = kBf16Run;

  static void run(const float* x, std::size_t count, std::uint16_t* out) {
    for (std::size_t i = 0; i < kBf16Run; ++i) {
      const std::size_t from = i / 4 * 4 + (i % 4 == 1 ? 2 : i % 4 == 2 ? 1 : i % 4);
      out[i] = from < count ? to_bf16(x[from]) : 0;
    }
  }
};

} // namespace

void pack_bf16_generic(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last) {
  pack_bf16_panels<Generic>(x, panels, first, last);
}

void round_bf16_generic(const float* x, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(to_bf16(x[i])) << 16;
    std::memcpy(out + i, &bits, sizeof bits);
  }
}

} // namespace edgeq::kernels
