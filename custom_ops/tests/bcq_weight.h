// SPDX-License-Identifier: Apache-2.0
// Random weights in the `bcq` format, packed by the letter of docs/formats.md and independently of the kernels.
#pragma once

#include "uniform_weight.h"

#include "kernels/bcq_layout.h"

namespace edgeq::tests {

struct BcqCase {
  std::size_t n, k, planes, group_size;

  kernels::BcqLayout layout() const { return {n, kernels::make_grouping(k, group_size), planes}; }
  std::string text() const {
    return "n=" + std::to_string(n) + " k=" + std::to_string(k) + " planes=" + std::to_string(planes) +
           " group=" + std::to_string(group_size);
  }
};

/// A weight, its decoded values and its packed bytes. Padding is random: kernels must not depend on it.
class BcqWeight {
public:
  BcqWeight(const BcqCase& c, Random& random)
      : case_(c), padded_k_((c.k + 31) / 32 * 32), group_(c.group_size == 0 ? padded_k_ : c.group_size),
        groups_((c.k + group_ - 1) / group_), packed_((c.n + 63) / 64 * tile_bytes()) {
    for (std::uint8_t& byte : packed_)
      byte = static_cast<std::uint8_t>(random());
    for (std::size_t row = 0; row < (c.n + 63) / 64 * 64; ++row)
      for (std::size_t group = 0; group < groups_; ++group)
        for (std::size_t i = 0; i <= c.planes; ++i)
          set_half(row, group, i, static_cast<std::uint16_t>((random() & 0x83ffU) | (8 + random() % 8) << 10));
  }

  const std::uint8_t* packed() const { return packed_.data(); }
  std::size_t packed_bytes() const { return packed_.size(); }

  /// Coefficient of a plane, or with plane == planes the offset.
  double coefficient(std::size_t row, std::size_t group, std::size_t plane) const {
    const std::uint8_t* half = packed_.data() + half_place(row, group, plane);
    return half_value(static_cast<std::uint16_t>(half[0] | half[1] << 8));
  }

  double value(std::size_t row, std::size_t k) const {
    const std::size_t group = k / group_, in_group = k % group_;
    const std::size_t lane = row % 64 < 32 ? 2 * (row % 64) : 2 * (row % 64 - 32) + 1;
    double sum = coefficient(row, group, case_.planes);
    for (std::size_t plane = 0; plane < case_.planes; ++plane) {
      const std::size_t line = in_group / 8 * case_.planes + plane;
      const unsigned byte = packed_[group_place(row, group) + 64 * line + lane];
      sum += ((byte >> in_group % 8 & 1) != 0 ? 1 : -1) * coefficient(row, group, plane);
    }
    return sum;
  }

private:
  std::size_t tile_bytes() const { return 8 * padded_k_ * case_.planes + groups_ * 128 * (case_.planes + 1); }

  std::size_t group_place(std::size_t row, std::size_t group) const {
    return row / 64 * tile_bytes() + group * (8 * group_ * case_.planes + 128 * (case_.planes + 1));
  }
  std::size_t half_place(std::size_t row, std::size_t group, std::size_t plane) const {
    const std::size_t inputs = std::min(group_, padded_k_ - group * group_);
    return group_place(row, group) + 8 * inputs * case_.planes + 128 * plane + 2 * (row % 64);
  }
  void set_half(std::size_t row, std::size_t group, std::size_t plane, std::uint16_t half) {
    std::uint8_t* place = packed_.data() + half_place(row, group, plane);
    place[0] = static_cast<std::uint8_t>(half & 0xff);
    place[1] = static_cast<std::uint8_t>(half >> 8);
  }

  BcqCase case_;
  std::size_t padded_k_, group_, groups_;
  GuardedBuffer<std::uint8_t> packed_;
};

/// A weight's values, and the sums of the magnitudes of their parts, |z| + Σ|α|, in float64.
struct BcqValues {
  BcqValues(const BcqCase& c, const BcqWeight& weight) : values(c.n * c.k), parts(c.n * c.k) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t row = i / c.k, k = i % c.k;
      values[i] = weight.value(row, k);
      for (std::size_t plane = 0; plane <= c.planes; ++plane)
        parts[i] += std::fabs(weight.coefficient(row, k / c.layout().inputs.group_size, plane));
    }
  }
  std::vector<double> values, parts; // [n][k]
};

/// Calls visit(BcqCase) for all planes, groupings and a set of odd shapes.
template <class Visit> void for_each_bcq_case(const Visit& visit) {
  const std::size_t shapes[][2] = {{1, 1}, {70, 96}, {33, 130}, {64, 512}, {129, 300}};
  for (const auto& shape : shapes)
    for (const std::size_t planes : {1, 2, 3, 4})
      for (const std::size_t group : {0, 32, 64, 96, 128, 256})
        visit(BcqCase{shape[0], shape[1], planes, group});
}

} // namespace edgeq::tests
