// SPDX-License-Identifier: Apache-2.0
// Random weights in the `codebook` format, packed by the letter of docs/formats.md and independently of the kernels.
#pragma once

#include "uniform_weight.h"

namespace edgeq::tests {

struct CodebookCase {
  std::size_t n, k, bits, group_size;

  kernels::UniformLayout layout() const {
    kernels::UniformLayout layout{n, kernels::make_grouping(k, group_size), bits, false};
    layout.codebook = true;
    return layout;
  }
  std::string text() const {
    return "codebook n=" + std::to_string(n) + " k=" + std::to_string(k) + " bits=" + std::to_string(bits) +
           " group=" + std::to_string(group_size);
  }
};

/// A weight, its decoded values and its packed bytes. An extreme one has the largest levels of either sign.
class CodebookWeight {
public:
  CodebookWeight(const CodebookCase& c, Random& random, bool extreme)
      : case_(c), padded_k_((c.k + 31) / 32 * 32), group_(c.group_size == 0 ? padded_k_ : c.group_size),
        groups_((padded_k_ + group_ - 1) / group_), packed_((c.n + 31) / 32 * tile_bytes()), values_(c.n * c.k) {
    std::fill(packed_.begin(), packed_.end(), 0);
    for (std::size_t row = 0; row < c.n; ++row)
      for (std::size_t group = 0; group < groups_; ++group)
        fill(row, group, random, extreme);
  }

  const std::uint8_t* packed() const { return packed_.data(); }
  std::size_t packed_bytes() const { return packed_.size(); }
  double value(std::size_t row, std::size_t k) const { return values_[row * case_.k + k]; }

private:
  std::size_t levels() const { return std::size_t{1} << case_.bits; }
  std::size_t header_bytes() const { return 32 * levels() + 64; }
  std::size_t tile_bytes() const { return 32 * padded_k_ * case_.bits / 8 + groups_ * header_bytes(); }

  void fill(std::size_t row, std::size_t group, Random& random, bool extreme) {
    std::uint8_t* start =
        packed_.data() + row / 32 * tile_bytes() + group * (32 * group_ * case_.bits / 8 + header_bytes());
    std::uint8_t* table = start + row % 32 / 16 * 16 * levels() + table_offset(row % 16);
    for (std::size_t i = 0; i < levels(); ++i)
      table[i] = static_cast<std::uint8_t>(extreme ? (row % 2 == 0 ? 127 : 128) : random() % 256);
    const auto half = static_cast<std::uint16_t>((random() & 0x83ffU) | (8 + random() % 8) << 10);
    std::uint8_t* scale = start + 32 * levels() + 2 * (row % 32);
    scale[0] = static_cast<std::uint8_t>(half & 0xff);
    scale[1] = static_cast<std::uint8_t>(half >> 8);
    const std::size_t end = std::min((group + 1) * group_, case_.k);
    for (std::size_t k = group * group_; k < end; ++k) {
      const unsigned code = random() % levels();
      set_code(start + header_bytes(), row % 32, k - group * group_, code);
      values_[row * case_.k + k] = half_value(half) * static_cast<std::int8_t>(table[code]);
    }
  }

  std::size_t table_offset(std::size_t lane) const {
    return case_.bits == 4 ? 64 * (lane % 4) + 16 * (lane / 4) : lane * levels();
  }

  void set_code(std::uint8_t* codes, std::size_t row, std::size_t k, unsigned code) const {
    const std::size_t block = row / 16, lane = row % 16;
    if (case_.bits == 4) {
      codes[(2 * (k / 32) + block) * 256 + table_offset(lane) + k % 16] |=
          static_cast<std::uint8_t>(code << k % 32 / 16 * 4);
    } else if (case_.bits == 2) {
      codes[(2 * (k / 16) + block) * 64 + 4 * lane + k % 4] |= static_cast<std::uint8_t>(code << k % 16 / 4 * 2);
    } else {
      std::uint8_t* bytes = codes + (2 * (k / 32) + block) * 192 + 4 * lane + k % 4;
      const std::size_t field = k % 32 / 4;
      for (unsigned bit = 0; bit < 3; ++bit) {
        const std::size_t position = bit + 3 * (field % 2);
        // Fields 6 and 7 are the fourth line: two of its bits in the upper bits of each stored one.
        const std::size_t line = field < 6 ? field / 2 : position / 2;
        bytes[64 * line] |= static_cast<std::uint8_t>((code >> bit & 1) << (field < 6 ? position : 6 + position % 2));
      }
    }
  }

  CodebookCase case_;
  std::size_t padded_k_, group_, groups_;
  GuardedBuffer<std::uint8_t> packed_;
  std::vector<double> values_;
};

/// Calls visit(CodebookCase) for all bits, groupings and a set of odd shapes.
template <class Visit> void for_each_codebook_case(const Visit& visit) {
  const std::size_t shapes[][2] = {{1, 1}, {40, 96}, {33, 130}, {64, 512}, {35, 1100}, {31, 544}};
  for (const auto& shape : shapes)
    for (const std::size_t bits : {2, 3, 4})
      for (const std::size_t group : {0, 32, 96, 128, 160, 1024})
        visit(CodebookCase{shape[0], shape[1], bits, group});
}

} // namespace edgeq::tests
