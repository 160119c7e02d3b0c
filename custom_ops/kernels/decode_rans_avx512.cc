// SPDX-License-Identifier: Apache-2.0
#include "avx512.h"
#include "decompress_driver.h"

namespace edgeq::kernels {
namespace {

/// A register holds the states of a block. Blocks do not depend on each other, so that their gathers overlap.
template <int Blocks> class States {
public:
  EDGEQ_MEMBER explicit States(const CodedBlock* blocks) {
    EDGEQ_UNROLL for (int b = 0; b < Blocks; ++b) {
      x_[b] = load_line(blocks[b].stream);
      next_[b] = blocks[b].stream + kRansStateBytes;
      limit_[b] = limit(blocks[b]);
      tiles_[b] = blocks[b].tiles;
    }
  }

  EDGEQ_MEMBER void step(const std::uint32_t* table, std::size_t offset) {
    const __m512i slots = _mm512_set1_epi32(kRansSlots - 1), least = _mm512_set1_epi32(kRansLeastState);
    EDGEQ_UNROLL for (int b = 0; b < Blocks; ++b) {
      const __m512i entry = _mm512_i32gather_epi32(_mm512_and_si512(x_[b], slots), table, 4);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(tiles_[b] + offset), _mm512_cvtepi32_epi8(entry));
      const __m512i product =
          _mm512_mullo_epi32(_mm512_srli_epi32(entry, 20), _mm512_srli_epi32(x_[b], kRansScaleBits));
      const __m512i x = _mm512_add_epi32(product, _mm512_and_si512(_mm512_srli_epi32(entry, 8), slots));
      const __mmask16 low = _mm512_cmplt_epu32_mask(x, least);
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(next_[b]));
      const __m512i word = _mm512_maskz_expand_epi32(low, _mm512_cvtepu16_epi32(words));
      x_[b] = _mm512_or_si512(_mm512_mask_slli_epi32(x, low, x, 16), word);
      next_[b] = advanced(next_[b], 2 * static_cast<std::size_t>(__builtin_popcount(low)), limit_[b]);
    }
  }

  EDGEQ_MEMBER bool finished() const {
    bool finished = true;
    EDGEQ_UNROLL for (int b = 0; b < Blocks; ++b) finished &=
        next_[b] + 2 == limit_[b] && _mm512_cmpneq_epi32_mask(x_[b], _mm512_set1_epi32(kRansLeastState)) == 0;
    return finished;
  }

private:
  __m512i x_[Blocks];
  const std::uint8_t *next_[Blocks], *limit_[Blocks];
  std::uint8_t* tiles_[Blocks]; // copies: those in CodedBlock would be read again after every store
};

} // namespace

bool decode_rans_avx512(const UniformLayout& layout, const void* table, const CodedBlock* blocks, std::size_t count,
                        std::size_t tiles) {
  return decode_rans_at_once<States, kMostBlocksAtOnce>(layout, table, blocks, count, tiles);
}

} // namespace edgeq::kernels
