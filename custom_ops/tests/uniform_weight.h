// SPDX-License-Identifier: Apache-2.0
// Random weights in the `uniform` format, packed by the letter of docs/formats.md and independently of the kernels.
#pragma once

#include "guarded_buffer.h"

#include "kernels/uniform_layout.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace edgeq::tests {

using Random = std::mt19937;

struct UniformCase {
  std::size_t n, k, bits, group_size;
  bool zero_point;
  int dint = 0; // denominator of the special levels; 0: the format is `uniform`

  kernels::UniformLayout layout() const {
    kernels::UniformLayout layout{n, kernels::make_grouping(k, group_size), bits, zero_point};
    layout.dint = dint;
    return layout;
  }
  /// The largest zero point.
  unsigned largest_zero() const { return (1U << bits) - (dint != 0 ? 3 : 1); }
  /// The weight of a code in steps.
  double steps(unsigned code, int zero) const {
    const unsigned plus = (1U << bits) - 2; // dint: a part of a step; the next code is minus as much
    if (dint != 0 && code >= plus)
      return (code == plus ? 1.0 : -1.0) / dint;
    return static_cast<int>(code) - zero;
  }
  std::string text() const {
    return "n=" + std::to_string(n) + " k=" + std::to_string(k) + " bits=" + std::to_string(bits) +
           " group=" + std::to_string(group_size) + (zero_point ? " zero points" : "") +
           (dint != 0 ? " dint 1/" + std::to_string(dint) : "");
  }
};

/// float16 bits as a number.
inline double half_value(std::uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 0x3ff;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

/// A weight, its decoded values and its packed bytes.
class UniformWeight {
public:
  UniformWeight(const UniformCase& c, Random& random, bool extreme)
      : case_(c), padded_k_((c.k + 31) / 32 * 32), group_(c.group_size == 0 ? padded_k_ : c.group_size),
        groups_((c.k + group_ - 1) / group_), packed_(tiles() * tile_bytes()), values_(c.n * c.k) {
    std::fill(packed_.begin(), packed_.end(), 0);
    for (std::size_t row = 0; row < c.n; ++row) {
      std::vector<double> scales;
      std::vector<int> zeros;
      for (std::size_t group = 0; group < groups_; ++group) {
        const auto half = static_cast<std::uint16_t>((random() & 0x83ffU) | (8 + random() % 8) << 10);
        const int zero = zero_of(row, random, extreme);
        set_trailer(row, group, half, zero);
        scales.push_back(half_value(half));
        zeros.push_back(zero);
      }
      for (std::size_t k = 0; k < c.k; ++k) {
        const unsigned code = !extreme ? random() % (1U << c.bits) : extreme_code(row);
        set_code(row, k, code);
        values_[row * c.k + k] = scales[k / group_] * c.steps(code, zeros[k / group_]);
      }
    }
  }

  const std::uint8_t* packed() const { return packed_.data(); }
  std::size_t packed_bytes() const { return packed_.size(); }
  double value(std::size_t row, std::size_t k) const { return values_[row * case_.k + k]; }

private:
  /// The ends of the range; of dint, in some rows with the largest zero point, the largest level above zero.
  unsigned extreme_code(std::size_t row) const {
    const unsigned largest = (1U << case_.bits) - 1;
    if (row % 2 == 1)
      return largest - (case_.dint != 0 ? 2 : 0);
    return case_.dint != 0 && row % 4 == 2 ? largest - 1 : 0;
  }

  /// `extreme`: as far as can be from the codes of the row.
  int zero_of(std::size_t row, Random& random, bool extreme) const {
    if (!case_.zero_point)
      return (1 << (case_.bits - 1)) - (case_.dint != 0 ? 2 : 0);
    const unsigned largest = case_.largest_zero();
    return static_cast<int>(!extreme ? random() % (largest + 1) : row % 2 == 0 ? largest : 0);
  }

  std::size_t tiles() const { return (case_.n + 31) / 32; }
  std::size_t trailer_bytes() const { return 64 + (case_.zero_point ? 32U : 0U); }
  std::size_t tile_bytes() const { return 32 * padded_k_ * case_.bits / 8 + groups_ * trailer_bytes(); }

  /// First byte of a group in a tile.
  std::size_t group_start(std::size_t group) const {
    return 32 * group * group_ * case_.bits / 8 + group * trailer_bytes();
  }

  void set_trailer(std::size_t row, std::size_t group, std::uint16_t scale, int zero) {
    const std::size_t inputs = std::min(group_, padded_k_ - group * group_);
    std::uint8_t* trailer =
        packed_.data() + row / 32 * tile_bytes() + group_start(group) + 32 * inputs * case_.bits / 8;
    trailer[2 * (row % 32)] = static_cast<std::uint8_t>(scale & 0xff);
    trailer[2 * (row % 32) + 1] = static_cast<std::uint8_t>(scale >> 8);
    if (case_.zero_point)
      trailer[64 + row % 32] = static_cast<std::uint8_t>(zero);
  }

  void set_code(std::size_t row, std::size_t k, unsigned code) {
    const std::size_t fields = case_.bits == 3 ? 8 : 8 / case_.bits, chunk_inputs = 4 * fields;
    const std::size_t chunk_bytes = case_.bits == 3 ? 192 : 64, in_group = k % group_;
    const std::size_t chunk = in_group / chunk_inputs, field = in_group % chunk_inputs / 4, block = row % 32 / 16;
    std::uint8_t* lane = packed_.data() + row / 32 * tile_bytes() + group_start(k / group_) +
                         (2 * chunk + block) * chunk_bytes + 4 * (row % 16) + in_group % 4;
    if (case_.bits != 3) {
      lane[0] |= static_cast<std::uint8_t>(code << case_.bits * field);
    } else if (field < 6) {
      lane[64 * (field / 2)] |= static_cast<std::uint8_t>(code << 3 * (field % 2));
    } else { // the derived line: two of its bits in the upper bits of each stored one
      for (unsigned bit = 0; bit < 3; ++bit) {
        const unsigned position = bit + 3 * (field % 2);
        lane[64 * (position / 2)] |= static_cast<std::uint8_t>((code >> bit & 1) << (6 + position % 2));
      }
    }
  }

  UniformCase case_;
  std::size_t padded_k_, group_, groups_;
  GuardedBuffer<std::uint8_t> packed_;
  std::vector<double> values_;
};

/// Calls visit(UniformCase) for all bits, groupings, zero points and a set of odd shapes.
template <class Visit> void for_each_uniform_case(const Visit& visit) {
  const std::size_t shapes[][2] = {{1, 1}, {40, 96}, {33, 130}, {64, 512}, {35, 1100}, {31, 544}};
  for (const auto& shape : shapes)
    for (const std::size_t bits : {2, 3, 4, 8})
      for (const std::size_t group : {0, 32, 96, 160, 1024})
        for (const bool zero_point : {false, true}) {
          visit(UniformCase{shape[0], shape[1], bits, group, zero_point});
          if (bits == 3 || bits == 4)
            for (const int dint : {2, 4, 8})
              visit(UniformCase{shape[0], shape[1], bits, group, zero_point, dint});
        }
}

} // namespace edgeq::tests
