// SPDX-License-Identifier: Apache-2.0
#include "matmul_f32_prompt_driver.h"
#include "multiply_f32_avx512.h"
#include "uniform_decode_f32.h"
#include "uniform_dispatch.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

/// Steps of codes modulo 2^Bits, of at most 4 bits.
template <int Bits, bool ZeroPoint> struct StepTable {
  alignas(64) float steps[16] = {};
  constexpr StepTable() {
    for (int i = 0; i < 16; ++i)
      steps[i] = static_cast<float>(i % (1 << Bits) - (ZeroPoint ? 0 : implied_zero_point(Bits, false)));
  }
};

/// Decodes up to 4 bits by a look-up in a register, without conversions.
template <int Bits, bool ZeroPoint> struct TableDecoder {
  using Lines = UniformLines<Vector512, Bits, ZeroPoint, false>;
  using Fields = UniformFields<Bits>;
  static constexpr StepTable<Bits, ZeroPoint> kTable{};

  /// Writes the weights of an activation block, [k][32 rows].
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    for (std::size_t b = 0; b < 2; ++b)
      decode_rows(lines + b * Fields::kChunkBytes, end - begin, load_halfs(trailer + 32 * b),
                  _mm512_cvtepi32_ps(load_bytes_as_int32(trailer + (ZeroPoint ? 64 + 16 * b : 0))), out + 16 * b);
  }

private:
  EDGEQ_MEMBER static void decode_rows(const std::uint8_t* codes, std::size_t count, __m512 scale, __m512 zero,
                                       float* out) {
    const __m512 table = _mm512_load_ps(kTable.steps);
    for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, codes += 2 * Fields::kChunkBytes)
      EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; ++f) {
        const __m512i line = Lines::field_line(codes, f);
        EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += kUniformTileRows) {
          const auto bit = static_cast<unsigned>(8 * j + (Bits == 3 ? 3 * (f % 2) : Bits * f));
          const __m512 step = _mm512_permutexvar_ps(_mm512_srli_epi32(line, bit), table);
          _mm512_storeu_ps(out, _mm512_mul_ps(scale, ZeroPoint ? _mm512_sub_ps(step, zero) : step));
        }
      }
  }
};

template <int Bits, bool ZeroPoint, int Dint>
struct Avx512 : F32Block512, UniformFloatDecoder<Vector512, Bits, ZeroPoint, Dint> {};
template <> struct Avx512<2, false, false> : F32Block512, TableDecoder<2, false> {};
template <> struct Avx512<2, true, false> : F32Block512, TableDecoder<2, true> {};
template <> struct Avx512<3, false, false> : F32Block512, TableDecoder<3, false> {};
template <> struct Avx512<3, true, false> : F32Block512, TableDecoder<3, true> {};
template <> struct Avx512<4, false, false> : F32Block512, TableDecoder<4, false> {};
template <> struct Avx512<4, true, false> : F32Block512, TableDecoder<4, true> {};

} // namespace

void matmul_f32_f32_uniform_12x32_avx512(const MatmulF32Prompt& product, std::size_t first_tile,
                                         std::size_t last_tile) {
  for_format<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_prompt_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
