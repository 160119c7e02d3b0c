// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this library has kernels for, which of them this CPU can run, and which one is used.
#pragma once

#include <string>
#include <vector>

namespace edgeq::kernels {

/// Instruction sets with kernels of their own, from the slowest to the fastest.
enum class Isa {
  generic, ///< portable C++: the reference
  avx2,    ///< AVX2, FMA, F16C
  avx512,  ///< AVX-512 F, BW, DQ, VL, VBMI and VNNI
};

const char* isa_name(Isa isa);

/// What this CPU and operating system can run, from the slowest to the fastest; never empty.
std::vector<Isa> available_isas();

/// The fastest available instruction set, or the one that the environment variable EDGEQ_ISA names.
/// Throws std::invalid_argument when EDGEQ_ISA names one that is unknown or not available.
Isa selected_isa();

} // namespace edgeq::kernels
