// SPDX-License-Identifier: Apache-2.0
// decoder_throughput FILE N K BITS GROUP_SIZE HAS_ZERO_POINT: bytes of packed weights that one thread decodes per
// second, for every instruction set with decoders of its own: from the cache, and from memory. A program of
// benchmarks/decompression.py.
#include "kernels/compressed_weight.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

using namespace edgeq;
using kernels::CompressedWeight;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kStreamed = std::size_t{192} << 20; // compressed bytes: more than caches keep
constexpr int kRepetitions = 5;

/// Median of the bytes per second of body().
template <class Body> double rate(double bytes, const Body& body) {
  std::vector<double> rates;
  for (int i = 0; i <= kRepetitions; ++i) {
    const Clock::time_point start = Clock::now();
    body();
    rates.push_back(bytes / std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(rates.begin() + 1, rates.end()); // the first one is not counted
  return rates[1 + kRepetitions / 2];
}

void decode_all(const CompressedWeight& weight, std::uint8_t* tiles) {
  for (std::size_t block = 0; block < weight.blocks(); block += weight.blocks_at_once())
    weight.decode(block, std::min(block + weight.blocks_at_once(), weight.blocks()), tiles);
}

void measure(const std::vector<std::uint8_t>& stream, const kernels::UniformLayout& layout, kernels::Isa isa) {
  const std::size_t copies = kStreamed / stream.size() + 1;
  std::vector<std::vector<std::uint8_t>> streams(copies, stream);
  std::vector<CompressedWeight> weights;
  for (const std::vector<std::uint8_t>& copy : streams)
    weights.emplace_back(copy.data(), copy.size(), layout, isa);
  const CompressedWeight& one = weights.front();
  const std::size_t group = std::min(one.blocks_at_once(), one.blocks());
  std::vector<std::uint8_t> tiles(one.first_tile(one.blocks_at_once()) * layout.tile_bytes());
  const auto packed = static_cast<double>(kernels::uniform_packed_bytes(layout));
  constexpr int kRounds = 100;
  const double cached = rate(kRounds * static_cast<double>(one.first_tile(group) * layout.tile_bytes()), [&] {
    for (int i = 0; i < kRounds; ++i)
      one.decode(0, group, tiles.data());
  });
  const double streamed = rate(packed * static_cast<double>(copies), [&] {
    for (const CompressedWeight& weight : weights)
      decode_all(weight, tiles.data());
  });
  std::printf("%s %.0f %.0f\n", kernels::isa_name(isa), cached, streamed);
}

} // namespace

int main(int count, char** arguments) {
  if (count != 7)
    return 2;
  std::ifstream file(arguments[1], std::ios::binary);
  const std::vector<std::uint8_t> stream((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto number = [&](int i) { return static_cast<std::size_t>(std::strtoul(arguments[i], nullptr, 10)); };
  const kernels::UniformLayout layout{number(2), kernels::make_grouping(number(3), number(5)), number(4),
                                      number(6) == 1};
  const kernels::Decoder* before = nullptr;
  for (const kernels::Isa isa : kernels::available_isas()) {
    const bool rans = !CompressedWeight(stream.data(), stream.size(), layout, isa).has_nibbles();
    const kernels::Decoder& decoder = rans ? kernels::rans_decoder(isa) : kernels::nibble_decoder(isa);
    if (&decoder != before)
      measure(stream, layout, isa);
    before = &decoder;
  }
}
