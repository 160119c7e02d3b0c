// SPDX-License-Identifier: Apache-2.0
// Compressed weights, encoded by the letter of docs/formats.md and independently of the decoders.
#pragma once

#include "guarded_buffer.h"

#include "kernels/compressed_header.h"
#include "kernels/crc32.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace edgeq::tests {

using Random = std::mt19937;
using Bytes = std::vector<std::uint8_t>;
using kernels::Codec;

struct CodedCase {
  std::size_t n, k, bits, group_size;
  bool zero_point;
  Codec codec;
  std::size_t tiles_per_block;
  unsigned spread; // symbols lie within this distance of the middle, mostly

  kernels::UniformLayout layout() const { return {n, kernels::make_grouping(k, group_size), bits, zero_point}; }
  std::string text() const {
    return std::string(codec == Codec::rans ? "rans" : "nibble") + " n=" + std::to_string(n) +
           " k=" + std::to_string(k) + " bits=" + std::to_string(bits) + " group=" + std::to_string(group_size) +
           " tiles in a block=" + std::to_string(tiles_per_block) + " spread=" + std::to_string(spread);
  }
};

/// Little-endian.
inline void append(Bytes& bytes, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i)
    bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}
inline void store(std::uint8_t* bytes, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(value >> 8 * i);
}

/// A packed tensor of random bytes: codes unevenly distributed, scales and zero points evenly.
inline Bytes random_packed(const CodedCase& c, Random& random) {
  const kernels::UniformLayout layout = c.layout();
  Bytes packed(kernels::uniform_packed_bytes(layout));
  for (std::uint8_t& byte : packed) // a binomial distribution, and now and then anything
    byte = static_cast<std::uint8_t>(
        random() % 64 == 0 ? random() : 128 - c.spread + random() % (c.spread + 1) + random() % (c.spread + 1));
  for (std::size_t tile = 0; tile < layout.tiles(); ++tile)
    for (std::size_t group = 0; group < layout.inputs.groups; ++group)
      for (std::size_t i = 0; i < layout.trailer_bytes(); ++i)
        packed[tile * layout.tile_bytes() + layout.trailer_offset(group) + i] = static_cast<std::uint8_t>(random());
  return packed;
}

/// The codes and the trailers of tiles [first, last).
struct TileParts {
  Bytes codes, trailers;

  TileParts(const kernels::UniformLayout& layout, const Bytes& packed, std::size_t first, std::size_t last) {
    std::size_t next = first * layout.tile_bytes();
    const auto take = [&](Bytes& to, std::size_t count) {
      to.insert(to.end(), packed.begin() + static_cast<std::ptrdiff_t>(next),
                packed.begin() + static_cast<std::ptrdiff_t>(next + count));
      next += count;
    };
    for (std::size_t tile = first; tile < last; ++tile)
      for (std::size_t group = 0; group < layout.inputs.groups; ++group) {
        const std::size_t inputs = layout.inputs.group_end(group) - group * layout.inputs.group_size;
        take(codes, 32 * inputs * layout.bits / 8);
        take(trailers, layout.trailer_bytes());
      }
  }
};

/// Frequencies with sum 4096: in proportion, at least 1, and the most frequent symbol takes the rest.
inline std::vector<std::uint32_t> frequencies(const Bytes& codes) {
  std::vector<std::size_t> counts(256);
  for (const std::uint8_t code : codes)
    ++counts[code];
  std::vector<std::uint32_t> out(256);
  std::uint32_t sum = 0;
  for (std::size_t symbol = 0; symbol < 256; ++symbol) {
    out[symbol] = counts[symbol] == 0 ? 0 : std::max<std::uint32_t>(1, counts[symbol] * 3800 / codes.size());
    sum += out[symbol];
  }
  const auto most = std::max_element(counts.begin(), counts.end()) - counts.begin();
  out[static_cast<std::size_t>(most)] += 4096 - sum - 1;
  out[static_cast<std::size_t>(most + 1) % 256] += 1; // no symbol is alone
  return out;
}

inline Bytes rans_stream(const Bytes& codes, const std::vector<std::uint32_t>& frequency) {
  std::vector<std::uint32_t> start(256), x(16, 1 << 16);
  for (std::size_t symbol = 1; symbol < 256; ++symbol)
    start[symbol] = start[symbol - 1] + frequency[symbol - 1];
  std::vector<std::uint16_t> words; // last first
  for (std::size_t i = codes.size(); i-- > 0;) {
    const std::uint32_t f = frequency[codes[i]];
    std::uint32_t& state = x[i % 16];
    if (state >= std::uint64_t{f} << 20) {
      words.push_back(static_cast<std::uint16_t>(state));
      state >>= 16;
    }
    state = state / f * 4096 + state % f + start[codes[i]];
  }
  Bytes stream;
  for (const std::uint32_t state : x)
    append(stream, state, 4);
  for (std::size_t i = words.size(); i-- > 0;)
    append(stream, words[i], 2);
  return stream;
}

inline Bytes nibble_stream(const Bytes& codes, const Bytes& table) {
  Bytes stream(codes.size() / 2), escaped;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto nibble = static_cast<unsigned>(std::find(table.begin(), table.begin() + 15, codes[i]) - table.begin());
    stream[i / 64 * 32 + i % 32] |= static_cast<std::uint8_t>(nibble << (i % 64 < 32 ? 0 : 4));
    if (nibble == 15)
      escaped.push_back(codes[i]);
  }
  stream.insert(stream.end(), escaped.begin(), escaped.end());
  return stream;
}

inline Bytes nibble_table(const Bytes& codes) {
  std::vector<std::size_t> counts(256), order(256);
  for (const std::uint8_t code : codes)
    ++counts[code];
  for (std::size_t i = 0; i < 256; ++i)
    order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  return {order.begin(), order.begin() + 16};
}

/// Makes all checksums right: as someone who crafts a stream would. Offsets that lie outside are left alone.
inline void seal(Bytes& data) {
  const std::size_t table = kernels::load_u32(&data[40]), blocks = kernels::load_u32(&data[36]);
  const std::size_t index = (48 + table + 7) / 8 * 8, sums = index + 8 * (blocks + 1), start = sums + 4 * blocks;
  if (table > data.size() || start > data.size())
    return;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::uint64_t first = kernels::load_u64(&data[index + 8 * b]);
    const std::uint64_t last = kernels::load_u64(&data[index + 8 * b + 8]);
    if (first <= last && last <= data.size())
      store(&data[sums + 4 * b], kernels::crc32(data.data() + first, last - first), 4);
  }
  store(&data[44], 0, 4);
  store(&data[44], kernels::crc32(data.data(), start), 4);
}

inline Bytes compressed(const CodedCase& c, const Bytes& packed) {
  const kernels::UniformLayout layout = c.layout();
  const std::size_t tiles = layout.tiles(), blocks = (tiles + c.tiles_per_block - 1) / c.tiles_per_block;
  const Bytes codes = TileParts(layout, packed, 0, tiles).codes;
  Bytes table;
  const std::vector<std::uint32_t> frequency = frequencies(codes);
  if (c.codec == Codec::nibble) {
    table = nibble_table(codes);
  } else {
    table.assign(32, 0);
    for (std::size_t symbol = 0; symbol < 256; ++symbol)
      if (frequency[symbol] > 0) {
        table[symbol / 8] |= static_cast<std::uint8_t>(1 << symbol % 8);
        append(table, frequency[symbol], 2);
      }
  }
  Bytes data{'E', 'Q', 'C', 'W', 1, static_cast<std::uint8_t>(c.codec), static_cast<std::uint8_t>(c.bits), 0};
  append(data, packed.size(), 8);
  append(data, 0, 8);
  append(data, layout.tile_bytes(), 8);
  append(data, c.tiles_per_block, 4);
  append(data, blocks, 4);
  append(data, table.size(), 4);
  append(data, 0, 4);
  data.insert(data.end(), table.begin(), table.end());
  data.resize((data.size() + 7) / 8 * 8);
  const std::size_t index = data.size();
  data.resize(index + 8 * (blocks + 1) + 4 * blocks);
  for (std::size_t b = 0; b < blocks; ++b) {
    const TileParts parts(layout, packed, b * c.tiles_per_block, std::min(tiles, (b + 1) * c.tiles_per_block));
    store(&data[index + 8 * b], data.size(), 8);
    data.insert(data.end(), parts.trailers.begin(), parts.trailers.end());
    const Bytes stream =
        c.codec == Codec::nibble ? nibble_stream(parts.codes, table) : rans_stream(parts.codes, frequency);
    data.insert(data.end(), stream.begin(), stream.end());
  }
  store(&data[index + 8 * blocks], data.size(), 8);
  data.resize(data.size() + 64);
  store(&data[16], data.size(), 8);
  seal(data);
  return data;
}

} // namespace edgeq::tests
