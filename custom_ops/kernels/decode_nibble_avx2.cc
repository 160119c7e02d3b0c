// SPDX-License-Identifier: Apache-2.0
#include "avx2.h"
#include "decompress_driver.h"

namespace edgeq::kernels {
namespace {

constexpr int kStraight = 4; // escaped codes of a line that are put into their places without a branch

struct Line {
  __m256i table;

  EDGEQ_MEMBER explicit Line(const std::uint8_t* codes)
      : table(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)))) {}

  EDGEQ_MEMBER std::size_t decode(const std::uint8_t* nibbles, const std::uint8_t* escapes, std::uint8_t* out) const {
    const __m256i mask = _mm256_set1_epi8(15), both = load_half_line(nibbles);
    const __m256i low = _mm256_and_si256(both, mask), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
    store(out, _mm256_shuffle_epi8(table, low));
    store(out + 32, _mm256_shuffle_epi8(table, high));
    return patch(escaped(low) | static_cast<std::uint64_t>(escaped(high)) << 32, escapes, out);
  }

private:
  EDGEQ_MEMBER static void store(std::uint8_t* out, __m256i codes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), codes);
  }
  EDGEQ_MEMBER static std::uint32_t escaped(__m256i nibbles) {
    return static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(nibbles, _mm256_set1_epi8(kNibbleEscape))));
  }

  /// Puts escaped codes into their places. Where there are fewer than kStraight, the byte behind the line is written;
  /// what belongs there, codes or a trailer, comes later.
  EDGEQ_MEMBER static std::size_t patch(std::uint64_t places, const std::uint8_t* escapes, std::uint8_t* out) {
    const auto count = static_cast<std::size_t>(__builtin_popcountll(places));
    EDGEQ_UNROLL for (int i = 0; i < kStraight; ++i) {
      out[_tzcnt_u64(places)] = escapes[i]; // 64 where no place is left
      places &= places - 1;
    }
    for (std::size_t i = kStraight; i < count; ++i) {
      out[_tzcnt_u64(places)] = escapes[i];
      places &= places - 1;
    }
    return count;
  }
};

} // namespace

bool decode_nibble_avx2(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                        std::size_t tiles) {
  return decode_nibble_blocks<Line>(layout, table, blocks, count, tiles);
}

} // namespace edgeq::kernels
