// SPDX-License-Identifier: Apache-2.0
// Compressed weights decode to what was encoded, on every instruction set, and never read or write out of bounds.
#include "check.h"
#include "coded_weight.h"

#include "kernels/compressed_weight.h"

using namespace edgeq;
using namespace edgeq::tests;
using kernels::CompressedWeight;

namespace {

template <class Visit> void for_each_case(const Visit& visit) {
  const std::size_t shapes[][2] = {{1, 1}, {70, 96}, {190, 130}, {300, 200}};
  for (const auto& shape : shapes)
    for (const std::size_t group : {0, 32, 96})
      for (const bool zero_point : {false, true})
        for (const std::size_t tiles : {1, 2, 7})
          for (const unsigned spread : {0, 6, 100}) {
            visit(CodedCase{shape[0], shape[1], 8, group, zero_point, Codec::rans, tiles, spread});
            visit(CodedCase{shape[0], shape[1], 4, group, zero_point, Codec::rans, tiles, spread});
            visit(CodedCase{shape[0], shape[1], 8, group, zero_point, Codec::nibble, tiles, spread});
          }
}

/// A copy that an access beyond its end crashes.
struct Guarded : GuardedBuffer<std::uint8_t> {
  explicit Guarded(const Bytes& bytes) : GuardedBuffer(bytes.size()) { std::copy(bytes.begin(), bytes.end(), begin()); }
};

void test_decodes_what_was_encoded() {
  Random random(1);
  for_each_case([&](const CodedCase& c) {
    const Bytes packed = random_packed(c, random), bytes = compressed(c, packed);
    const Guarded data(bytes);
    for (const kernels::Isa isa : kernels::available_isas()) {
      const CompressedWeight weight(data.data(), data.size(), c.layout(), isa);
      GuardedBuffer<std::uint8_t> tiles(packed.size());
      weight.check_blocks(tiles.data());
      CHECK(std::equal(packed.begin(), packed.end(), tiles.begin()), c.text() + " " + kernels::isa_name(isa));
    }
  });
}

/// Any run of blocks, into memory that ends where they end.
void test_decodes_any_blocks() {
  Random random(2);
  for (const Codec codec : {Codec::rans, Codec::nibble}) {
    const CodedCase c{32 * 11 - 5, 128, 8, 32, true, codec, 2, 6};
    const Bytes packed = random_packed(c, random), bytes = compressed(c, packed);
    const std::size_t tile_bytes = c.layout().tile_bytes();
    for (const kernels::Isa isa : kernels::available_isas()) {
      const CompressedWeight weight(bytes.data(), bytes.size(), c.layout(), isa);
      CHECK(weight.blocks() == 6 && weight.first_tile(6) == 11, c.text());
      for (std::size_t first = 0; first < weight.blocks(); ++first)
        for (std::size_t last = first + 1; last <= weight.blocks(); ++last) {
          const std::size_t begin = weight.first_tile(first) * tile_bytes, end = weight.first_tile(last) * tile_bytes;
          GuardedBuffer<std::uint8_t> tiles(end - begin);
          CHECK(weight.decode(first, last, tiles.data()), c.text());
          CHECK(std::equal(tiles.begin(), tiles.end(), packed.begin() + static_cast<std::ptrdiff_t>(begin)), c.text());
        }
    }
  }
}

/// Whether a tensor is accepted and, if so, all that decoding does; guards and sanitizers watch.
bool accepted(const CodedCase& c, const Bytes& bytes, kernels::Isa isa) {
  const Guarded data(bytes);
  try {
    const CompressedWeight weight(data.data(), data.size(), c.layout(), isa);
    GuardedBuffer<std::uint8_t> tiles(kernels::uniform_packed_bytes(c.layout()));
    weight.decode(0, weight.blocks(), tiles.data());
    weight.check_blocks();
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

CodedCase small_case(Codec codec) { return {100, 64, 8, 32, true, codec, 2, 6}; }

void test_damage_is_noticed() {
  Random random(3);
  for (const Codec codec : {Codec::rans, Codec::nibble}) {
    const CodedCase c = small_case(codec);
    const Bytes bytes = compressed(c, random_packed(c, random));
    CHECK(accepted(c, bytes, kernels::Isa::generic), c.text());
    for (std::size_t i = 0; i + 64 < bytes.size(); i += i < 200 ? 1 : 17) {
      Bytes damaged = bytes;
      damaged[i] ^= static_cast<std::uint8_t>(1 << random() % 8);
      CHECK(!accepted(c, damaged, kernels::available_isas().back()), c.text() + " byte " + std::to_string(i));
    }
    for (std::size_t size = 0; size < bytes.size(); size += size < 200 ? 1 : 61)
      CHECK(!accepted(c, Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)),
                      kernels::available_isas().back()),
            c.text() + " truncated to " + std::to_string(size));
  }
}

/// Random changes with right checksums: refused or decoded to something, but within bounds.
void test_crafted_streams() {
  Random random(4);
  std::size_t taken = 0, refused = 0;
  for (const Codec codec : {Codec::rans, Codec::nibble})
    for (const std::size_t tiles : {1, 2}) {
      CodedCase c = small_case(codec);
      c.tiles_per_block = tiles;
      const Bytes bytes = compressed(c, random_packed(c, random));
      const std::size_t head = kernels::load_u64(&bytes[48 + (kernels::load_u32(&bytes[40]) + 7) / 8 * 8]);
      for (int mutation = 0; mutation < 1500; ++mutation) {
        Bytes crafted = bytes;
        const std::size_t changes = 1 + random() % 4;
        for (std::size_t i = 0; i < changes; ++i) // half of them in header, table and index
          crafted[random() % (random() % 2 == 0 ? head : bytes.size() - 64)] =
              static_cast<std::uint8_t>(random() % 3 == 0 ? 255 : random());
        if (random() % 8 == 0)
          crafted.resize(crafted.size() - random() % 200);
        store(&crafted[16], crafted.size(), 8);
        seal(crafted);
        const std::vector<kernels::Isa> isas = kernels::available_isas();
        const bool first = accepted(c, crafted, isas.front());
        ++(first ? taken : refused);
        for (const kernels::Isa isa : isas)
          CHECK(accepted(c, crafted, isa) == first, c.text());
      }
    }
  CHECK(taken > 100 && refused > 100, std::to_string(taken) + " taken, " + std::to_string(refused) + " refused");
}

void test_checksum() {
  const char* text = "123456789"; // the check value of the CRC catalogue
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text);
  CHECK(kernels::crc32(bytes, 9) == 0xcbf43926, "crc32");
  Random random(5);
  Bytes data(1000);
  for (std::uint8_t& byte : data)
    byte = static_cast<std::uint8_t>(random());
  for (std::size_t split = 0; split <= data.size(); split += 7)
    CHECK(kernels::crc32(data.data() + split, data.size() - split, kernels::crc32(data.data(), split)) ==
              kernels::crc32(data.data(), data.size()),
          "split at " + std::to_string(split));
}

} // namespace

int main() {
  test_checksum();
  test_decodes_what_was_encoded();
  test_decodes_any_blocks();
  test_damage_is_noticed();
  test_crafted_streams();
  return report();
}
