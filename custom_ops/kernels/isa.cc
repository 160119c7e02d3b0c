// SPDX-License-Identifier: Apache-2.0
#include "isa.h"

#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace edgeq::kernels {

const char* isa_name(Isa isa) {
  switch (isa) {
  case Isa::avx2:
    return "avx2";
  case Isa::avx_vnni:
    return "avx_vnni";
  case Isa::avx512:
    return "avx512";
  case Isa::avx512_vnni:
    return "avx512_vnni";
  case Isa::avx512_vbmi:
    return "avx512_vbmi";
  case Isa::avx512_bf16:
    return "avx512_bf16";
  case Isa::amx:
    return "amx";
  case Isa::neon:
    return "neon";
  case Isa::dotprod:
    return "dotprod";
  case Isa::i8mm:
    return "i8mm";
  case Isa::bf16:
    return "bf16";
  default:
    return "generic";
  }
}

#if defined(__x86_64__)
namespace {

/// AVX-VNNI, which GCC 12's __builtin_cpu_supports() does not know: leaf 7, subleaf 1, EAX bit 4. It needs no more of
/// the operating system than AVX2 does.
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}

/// AMX with INT8 and BF16, leaf 7, EDX bits 22, 24 and 25. Linux must be asked, for the whole process, to save tile
/// registers; where it refuses, or knows nothing of them, there is no AMX.
bool has_amx() {
  constexpr unsigned kFeatures = 1U << 22 | 1U << 24 | 1U << 25;
  constexpr long kRequestPermission = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kFeatures) == kFeatures &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

/// The built-in also asks the operating system whether it saves the wide registers.
void append_x86(std::vector<Isa>& isas) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c") ||
      !__builtin_cpu_supports("bmi"))
    return;
  isas.push_back(Isa::avx2);
  if (has_avx_vnni())
    isas.push_back(Isa::avx_vnni);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
    return;
  isas.push_back(Isa::avx512);
  if (!__builtin_cpu_supports("avx512vnni"))
    return;
  isas.push_back(Isa::avx512_vnni);
  if (!__builtin_cpu_supports("avx512vbmi") || !__builtin_cpu_supports("avx512vbmi2"))
    return;
  isas.push_back(Isa::avx512_vbmi);
  if (!__builtin_cpu_supports("avx512bf16"))
    return;
  isas.push_back(Isa::avx512_bf16);
  if (has_amx())
    isas.push_back(Isa::amx);
}

} // namespace
#elif defined(__aarch64__)
namespace {

void append_arm(std::vector<Isa>& isas) {
  isas.push_back(Isa::neon);
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) == 0)
    return;
  isas.push_back(Isa::dotprod);
  if ((getauxval(AT_HWCAP2) & HWCAP2_I8MM) == 0)
    return;
  isas.push_back(Isa::i8mm);
  if ((getauxval(AT_HWCAP2) & HWCAP2_BF16) != 0)
    isas.push_back(Isa::bf16);
}

} // namespace
#endif

std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::generic};
#if defined(__x86_64__)
  append_x86(isas);
#elif defined(__aarch64__)
  append_arm(isas);
#endif
  return isas;
}

Isa selected_isa() {
  const std::vector<Isa> available = available_isas();
  const char* wanted = std::getenv("EDGEQ_ISA");
  if (wanted == nullptr || *wanted == '\0')
    return available.back();
  std::string names;
  for (Isa isa : available) {
    if (wanted == std::string(isa_name(isa)))
      return isa;
    names += std::string(names.empty() ? "" : ", ") + isa_name(isa);
  }
  throw std::invalid_argument("environment variable EDGEQ_ISA: found '" + std::string(wanted) +
                              "', wanted one that this CPU can run: " + names);
}

} // namespace edgeq::kernels
