// SPDX-License-Identifier: Apache-2.0
// Codes of the `uniform` and `dint` formats in vectors of rows: V is Vector512 or Vector256.
#pragma once

#include "uniform_fields.h"
#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// A dint code in units, plus `centre`; the zero point is implied unless it is stored, and then not subtracted.
template <int Bits, bool ZeroPoint, int Dint> constexpr std::uint8_t dint_entry(int code, int centre) {
  const int zero_point = ZeroPoint ? 0 : implied_zero_point(Bits, Dint);
  return static_cast<std::uint8_t>(dint_units(code, Bits, zero_point, Dint) + centre);
}

template <int Bits, bool ZeroPoint, int Dint> struct DintTable {
  alignas(16) std::uint8_t entries[16] = {};
  constexpr explicit DintTable(int centre) {
    for (int code = 0; code < 1 << Bits; ++code)
      entries[code] = dint_entry<Bits, ZeroPoint, Dint>(code, centre);
  }
};

/// The table of bytes_from_zero(): a code in units plus kFromZero, zero points not subtracted; and the last two codes
/// smaller than all others.
inline constexpr int kFromZero = 3;
template <int Bits, int Dint> constexpr std::uint8_t dint_entry_from_zero(int code) {
  const int plus = (1 << Bits) - 2;
  return static_cast<std::uint8_t>(code < plus ? Dint * code + kFromZero : code == plus ? 2 : 0);
}

template <int Bits, int Dint> struct DintTableFromZero {
  alignas(16) std::uint8_t entries[16] = {};
  constexpr DintTableFromZero() {
    for (int code = 0; code < 1 << Bits; ++code)
      entries[code] = dint_entry_from_zero<Bits, Dint>(code);
  }
};

template <class V, int Bits, bool ZeroPoint, int Dint> struct UniformLines {
  using Integers = typename V::Integers;
  using Fields = UniformFields<Bits>;
  static constexpr int kFields = static_cast<int>(Fields::kFields);

  /// Differences of bytes do not fit into a byte.
  static constexpr bool kWide = ZeroPoint && Bits == 8;
  static constexpr int kCentre = decoded_centre(Bits, ZeroPoint, Dint); // of bytes(), unless kWide

  /// The largest of bytes().
  static constexpr int kLargest = kWide  ? 255
                                  : Dint ? dint_entry<Bits, ZeroPoint, Dint>((1 << Bits) - 3, kCentre)
                                         : (1 << Bits) - 1 + (ZeroPoint ? kCentre : 0);
  static_assert(kLargest <= 255, "a byte");

  /// The largest of bytes_from_zero(): the special levels of a row with the largest zero point.
  static constexpr int kLargestFromZero = Dint * ((1 << Bits) - 3) + kFromZero + 1;

  /// The line that holds field `f` of a chunk, from `line` of its first line. The fourth line of a 3-bit chunk is made
  /// of the upper bits of the others: (A>>6) | (B>>6)<<2 | (C>>6)<<4.
  EDGEQ_MEMBER static Integers field_line(const std::uint8_t* line, int f) {
    if (Bits != 3 || f / 2 != 3)
      return V::load(line + (Bits == 3 ? 64 * (f / 2) : 0));
    const Integers a = V::shift_right(V::load(line), 6), b = V::shift_right(V::load(line + 64), 4);
    const Integers c = V::shift_right(V::load(line + 128), 2);
    return V::select(V::all_bytes(0x03), a, V::select(V::all_bytes(0x0c), b, c));
  }

  /// The lowest bit of field `f` in its line.
  EDGEQ_MEMBER static constexpr int field_shift(int f) { return Bits == 3 ? 3 * (f % 2) : Bits * f % 8; }

  /// The codes of field `f`.
  EDGEQ_MEMBER static Integers codes(const std::uint8_t* line, int f) {
    const int shift = field_shift(f);
    const Integers whole = field_line(line, f);
    if (Bits == 8)
      return whole;
    return V::both(shift == 0 ? whole : V::shift_right(whole, shift), V::all_bytes((1 << Bits) - 1));
  }

  /// The codes of field `f` where they lie, that is, times 2^field_shift(f).
  EDGEQ_MEMBER static Integers codes_in_place(const std::uint8_t* line, int f) {
    const Integers whole = field_line(line, f);
    return Bits == 8 ? whole : V::both(whole, V::all_bytes(((1 << Bits) - 1) << field_shift(f)));
  }

  /// What a lane of four bytes subtracts, from the zero points of its rows.
  EDGEQ_MEMBER static Integers zeros(const std::uint8_t* zero_points) {
    return V::multiply(V::load_bytes(zero_points), V::all(0x01010101 * (Dint ? Dint : 1)));
  }

  /// Unsigned bytes to be multiplied; `zero` from zeros(), ignored without zero points.
  EDGEQ_MEMBER static Integers bytes(const std::uint8_t* line, int f, Integers zero) {
    const Integers code = codes(line, f);
    if constexpr (Dint) {
      static constexpr DintTable<Bits, ZeroPoint, Dint> kTable(kCentre);
      const Integers value = V::look_up(kTable.entries, code);
      return ZeroPoint ? V::subtract_below(value, zero, code, (1 << Bits) - 2) : value;
    }
    if constexpr (ZeroPoint && !kWide)
      return V::subtract_bytes(V::add_bytes(code, V::all_bytes(kCentre)), zero);
    return code;
  }

  /// `dint` with stored zero points in half the range of bytes(): weight in units + Dint · zero point + kFromZero, to
  /// be taken off the sums. `zero` from zeros_from_zero(zeros()).
  EDGEQ_MEMBER static Integers bytes_from_zero(const std::uint8_t* line, int f, Integers zero) {
    static constexpr DintTableFromZero<Bits, Dint> kTable;
    const Integers code = codes(line, f);
    return V::add_from(V::look_up(kTable.entries, code), zero, code, (1 << Bits) - 2);
  }
  EDGEQ_MEMBER static Integers zeros_from_zero(Integers zeros) {
    return V::add_bytes(zeros, V::all_bytes(kFromZero - 1));
  }
};

} // namespace
} // namespace edgeq::kernels
