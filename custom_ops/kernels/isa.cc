// SPDX-License-Identifier: Apache-2.0
#include "isa.h"

#include <cstdlib>
#include <stdexcept>

namespace edgeq::kernels {

const char* isa_name(Isa isa) {
  switch (isa) {
  case Isa::avx2:
    return "avx2";
  case Isa::avx512:
    return "avx512";
  default:
    return "generic";
  }
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::generic};
#if defined(__x86_64__)
  // The built-in also asks the operating system whether it saves the wide registers.
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return isas;
  isas.push_back(Isa::avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
      __builtin_cpu_supports("avx512vnni"))
    isas.push_back(Isa::avx512);
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
