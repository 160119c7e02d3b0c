// SPDX-License-Identifier: Apache-2.0
// Sizes, groups, blocks, panels and float16 against their definitions.
#include "check.h"
#include "uniform_weight.h"

#include "kernels/a8_panels.h"
#include "kernels/bcq_layout.h"
#include "kernels/half.h"

#include <limits>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

void test_uniform_sizes() {
  Random random(1);
  for_each_uniform_case([&](const UniformCase& c) {
    const UniformWeight weight(c, random, false);
    CHECK(kernels::uniform_packed_bytes(c.layout()) == weight.packed_bytes(), c.text());
    CHECK(c.layout().tiles() * c.layout().tile_bytes() == weight.packed_bytes(), c.text());
  });
}

void test_activation_blocks() {
  for (const std::size_t k : {1, 31, 32, 33, 127, 128, 129, 544, 1100, 4096})
    for (const std::size_t group_size : {0, 32, 96, 128, 160, 256, 1024, 1056}) {
      const kernels::Grouping inputs = kernels::make_grouping(k, group_size);
      const std::string text = "k=" + std::to_string(k) + " group=" + std::to_string(group_size);
      const std::size_t padded = (k + 31) / 32 * 32, group = group_size == 0 ? padded : group_size;
      std::size_t index = 0;
      for (std::size_t start = 0; start < padded; ++index) {
        const std::size_t group_end = std::min((start / group + 1) * group, padded);
        const std::size_t end = std::min(start + 128, group_end);
        CHECK(inputs.block_index(start) == index, text);
        CHECK(inputs.block_end(start) == end, text);
        start = end;
      }
      CHECK(inputs.blocks() == index, text);
      CHECK(inputs.groups == (k + group - 1) / group, text);
    }
}

void test_panels() {
  for (std::size_t tokens = 1; tokens < 40; ++tokens)
    for (std::size_t size = 1; size < 8; ++size) {
      const kernels::A8Panels panels{nullptr, nullptr, nullptr, tokens, size};
      std::size_t token = 0, smallest = size;
      for (std::size_t panel = 0; panel < panels.panels(); ++panel) {
        CHECK(panels.first_token(panel) == token, std::to_string(tokens));
        token += panels.panel_size(panel);
        smallest = std::min(smallest, panels.panel_size(panel));
        CHECK(panels.panel_size(panel) <= size, std::to_string(tokens));
      }
      CHECK(token == tokens && smallest > 0, std::to_string(tokens));
    }
}

void test_half() {
  for (unsigned half = 0; half < 0x10000; ++half) {
    const float value = kernels::half_to_float(static_cast<std::uint16_t>(half));
    const bool infinite = (half & 0x7fff) == 0x7c00, nan = (half & 0x7fff) > 0x7c00;
    if (nan)
      CHECK(std::isnan(value), std::to_string(half));
    else if (infinite)
      CHECK(std::isinf(value), std::to_string(half));
    else
      CHECK(value == half_value(static_cast<std::uint16_t>(half)), std::to_string(half));
    CHECK(nan || std::signbit(value) == (half >= 0x8000), std::to_string(half));
  }
}

template <class Body> bool rejects(const Body& body) {
  try {
    body();
    return false;
  } catch (const std::invalid_argument&) {
    return true;
  }
}

void test_overflow() {
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max() / 32 * 32;
  const kernels::Grouping inputs{kHuge, kHuge, kHuge, 1};
  CHECK(rejects([&] { kernels::uniform_packed_bytes({1, inputs, 8, true}); }), "uniform");
  CHECK(rejects([&] { kernels::bcq_packed_bytes({1, inputs, 4}); }), "bcq");
  CHECK(rejects([&] { kernels::checked_sum(kHuge, kHuge); }), "sum");
}

} // namespace

int main() {
  test_uniform_sizes();
  test_activation_blocks();
  test_panels();
  test_half();
  test_overflow();
  return report();
}
