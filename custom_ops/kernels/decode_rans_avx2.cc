// SPDX-License-Identifier: Apache-2.0
#include "avx2.h"
#include "decompress_driver.h"

namespace edgeq::kernels {
namespace {

/// For each set of eight states that take a word: which of the next words each takes.
struct WordIndices {
  std::uint8_t of[256][8];
  constexpr WordIndices() : of{} {
    for (int set = 0; set < 256; ++set)
      for (int lane = 0, word = 0; lane < 8; ++lane) {
        of[set][lane] = static_cast<std::uint8_t>(word);
        word += set >> lane & 1;
      }
  }
};
constexpr WordIndices kWords;

/// Two registers hold the states of a block.
template <int Blocks> class States {
public:
  EDGEQ_MEMBER explicit States(const CodedBlock* blocks) {
    EDGEQ_UNROLL for (int b = 0; b < Blocks; ++b) {
      x_[2 * b] = load_half_line(blocks[b].stream);
      x_[2 * b + 1] = load_half_line(blocks[b].stream + 32);
      next_[b] = blocks[b].stream + kRansStateBytes;
      limit_[b] = limit(blocks[b]);
      tiles_[b] = blocks[b].tiles;
    }
  }

  EDGEQ_MEMBER void step(const std::uint32_t* table, std::size_t offset) {
    EDGEQ_UNROLL for (int b = 0; b < Blocks; ++b) {
      const __m256i low = half_step(table, b, 2 * b), high = half_step(table, b, 2 * b + 1);
      store_symbols(tiles_[b] + offset, low, high);
    }
  }

  EDGEQ_MEMBER bool finished() const {
    const __m256i least = _mm256_set1_epi32(kRansLeastState);
    bool finished = true;
    EDGEQ_UNROLL for (int i = 0; i < 2 * Blocks; ++i) finished &=
        next_[i / 2] + 2 == limit_[i / 2] && _mm256_movemask_epi8(_mm256_cmpeq_epi32(x_[i], least)) == -1;
    return finished;
  }

private:
  /// Eight symbols of block b, as the lowest bytes of the result, and the next eight states.
  EDGEQ_MEMBER __m256i half_step(const std::uint32_t* table, int b, int i) {
    const __m256i slots = _mm256_set1_epi32(kRansSlots - 1);
    const __m256i entry =
        _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), _mm256_and_si256(x_[i], slots), 4);
    const __m256i product = _mm256_mullo_epi32(_mm256_srli_epi32(entry, 20), _mm256_srli_epi32(x_[i], kRansScaleBits));
    const __m256i x = _mm256_add_epi32(product, _mm256_and_si256(_mm256_srli_epi32(entry, 8), slots));
    const __m256i is_low = _mm256_cmpeq_epi32(_mm256_srli_epi32(x, 16), _mm256_setzero_si256());
    const int set = _mm256_movemask_ps(_mm256_castsi256_ps(is_low));
    const __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kWords.of[set])));
    const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(next_[b])));
    const __m256i taken = _mm256_or_si256(_mm256_slli_epi32(x, 16), _mm256_permutevar8x32_epi32(words, index));
    x_[i] = _mm256_blendv_epi8(x, taken, is_low);
    next_[b] = advanced(next_[b], 2 * static_cast<std::size_t>(__builtin_popcount(set)), limit_[b]);
    return entry;
  }

  EDGEQ_MEMBER static void store_symbols(std::uint8_t* out, __m256i low, __m256i high) {
    const __m256i byte = _mm256_set1_epi32(0xff);
    const __m256i words = _mm256_packus_epi32(_mm256_and_si256(low, byte), _mm256_and_si256(high, byte));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8); // packing works on 128 bits each
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
  }

  __m256i x_[2 * Blocks];
  const std::uint8_t *next_[Blocks], *limit_[Blocks];
  std::uint8_t* tiles_[Blocks]; // copies: those in CodedBlock would be read again after every store
};

} // namespace

bool decode_rans_avx2(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                      std::size_t tiles) {
  return decode_rans_at_once<States, 4>(layout, table, blocks, count, tiles);
}

} // namespace edgeq::kernels
