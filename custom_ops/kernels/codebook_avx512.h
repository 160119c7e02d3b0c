// SPDX-License-Identifier: Apache-2.0
// What CodebookLines asks of 512-bit vectors.
#pragma once

#include "vector_avx512.h"

namespace edgeq::kernels {

struct CodebookVector512 : Vector512 {
  EDGEQ_MEMBER static __m512i exclusive_or(__m512i a, __m512i b) { return _mm512_xor_si512(a, b); }
  EDGEQ_MEMBER static __m512i shuffle(__m512i table, __m512i index) { return _mm512_shuffle_epi8(table, index); }
  EDGEQ_MEMBER static __m512i merge(__m512i code, __m512i mask, __m512i rows) {
    return _mm512_ternarylogic_epi32(code, mask, rows, 0xea);
  }
  EDGEQ_MEMBER static __m512i choose(__m512i v, int bit, __m512i a, __m512i b) {
    return _mm512_mask_blend_epi8(_mm512_test_epi8_mask(v, all_bytes(bit)), b, a);
  }
  /// The same 16 bytes in every 128-bit lane.
  EDGEQ_MEMBER static __m512i repeat16(std::int64_t high, std::int64_t low) {
    return _mm512_broadcast_i32x4(_mm_set_epi64x(high, low));
  }
  EDGEQ_MEMBER static __m512i broadcast16(const void* bytes) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(bytes)));
  }

  /// Even and odd 32-bit lanes of 128 bytes.
  EDGEQ_MEMBER static void split_pairs(const std::uint8_t* bytes, __m512i& even, __m512i& odd) {
    const __m512i index = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    even = _mm512_permutex2var_epi32(load(bytes), index, load(bytes + 64));
    odd = _mm512_permutex2var_epi32(load(bytes), _mm512_add_epi32(index, _mm512_set1_epi32(1)), load(bytes + 64));
  }

  EDGEQ_MEMBER static void transpose(__m512i (&v)[4]) {
    const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm512_unpacklo_epi64(a, c), v[1] = _mm512_unpackhi_epi64(a, c);
    v[2] = _mm512_unpacklo_epi64(b, d), v[3] = _mm512_unpackhi_epi64(b, d);
  }
  /// Lane i of the sum: the sum of the four lanes of v[i % 4] in the 128 bits of lane i.
  EDGEQ_MEMBER static __m512i transposed_sum(__m512i (&v)[4]) {
    transpose(v);
    return add(add(v[0], v[1]), add(v[2], v[3]));
  }
};

} // namespace edgeq::kernels
