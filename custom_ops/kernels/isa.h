// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this library has kernels for, which of them this CPU can run, and which one is used.
#pragma once

#include <string>
#include <vector>

namespace edgeq::kernels {

/// Instruction sets with kernels of their own, from the slowest to the fastest. The tables of kernels give a set that
/// has no version of a kernel the fastest one that its CPUs can run; avx512 does not imply avx_vnni.
enum class Isa {
  generic,     ///< portable C++: the reference
  avx2,        ///< AVX2, FMA, F16C, BMI
  avx_vnni,    ///< avx2 and AVX-VNNI: 256-bit vpdpbusd (Alder Lake, Zen 5)
  avx512,      ///< avx2 and AVX-512 F, BW, DQ, VL (Skylake-X)
  avx512_vnni, ///< avx512 and AVX-512 VNNI (Cascade Lake)
  avx512_vbmi, ///< avx512_vnni and AVX-512 VBMI, VBMI2 (Ice Lake)
  avx512_bf16, ///< avx512_vbmi and AVX-512 BF16 (Zen 4)
  amx,         ///< avx512_bf16 and AMX with INT8 and BF16 (Sapphire Rapids)
  neon,        ///< 64-bit ARM: every one (Cortex-A53, A72)
  dotprod,     ///< neon and sdot (Cortex-A55, A76, Neoverse-N1)
  i8mm,        ///< dotprod and smmla
  bf16,        ///< i8mm and bfmmla (Cortex-A510, A710, Neoverse-V1, N2)
};

const char* isa_name(Isa isa);

/// What this CPU and operating system can run, from the slowest to the fastest; never empty.
std::vector<Isa> available_isas();

/// The fastest available instruction set, or the one that the environment variable EDGEQ_ISA names.
/// Throws std::invalid_argument when EDGEQ_ISA names one that is unknown or not available.
Isa selected_isa();

#if defined(__x86_64__)
/// The kernels of an instruction set, of a table's entries in the order of Isa.
template <class Kernels>
const Kernels& select_x86(Isa isa, const Kernels& generic, const Kernels& avx2, const Kernels& avx_vnni,
                          const Kernels& avx512, const Kernels& avx512_vnni, const Kernels& avx512_vbmi,
                          const Kernels& avx512_bf16, const Kernels& amx) {
  switch (isa) {
  case Isa::avx2:
    return avx2;
  case Isa::avx_vnni:
    return avx_vnni;
  case Isa::avx512:
    return avx512;
  case Isa::avx512_vnni:
    return avx512_vnni;
  case Isa::avx512_vbmi:
    return avx512_vbmi;
  case Isa::avx512_bf16:
    return avx512_bf16;
  case Isa::amx:
    return amx;
  default:
    return generic;
  }
}
#endif

} // namespace edgeq::kernels
