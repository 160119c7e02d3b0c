# SPDX-License-Identifier: Apache-2.0
# add_kernel_test(name): runs test program `name`. When cross-compiling, under the emulator
# (CMAKE_CROSSCOMPILING_EMULATOR, of qemu-user's command line) as each CPU of EDGEQ_TEST_CPUS, a list of
# <CPU>=<the fastest instruction set that it has>, without which there are no tests.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(EDGEQ_TEST_CPUS cortex-a72=neon neoverse-n1=dotprod max=bf16 CACHE STRING "CPUs that the emulator is")
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "armv7")
  set(EDGEQ_TEST_CPUS cortex-a15=generic CACHE STRING "CPUs that the emulator is")
endif()

function(add_kernel_test name)
  if(NOT CMAKE_CROSSCOMPILING)
    add_test(NAME ${name} COMMAND ${name})
    return()
  endif()
  if(NOT CMAKE_CROSSCOMPILING_EMULATOR)
    message(WARNING "no tests: there is no emulator of ${CMAKE_SYSTEM_PROCESSOR}")
    return()
  endif()
  foreach(entry IN LISTS EDGEQ_TEST_CPUS)
    string(REGEX MATCH "^(.*)=(.*)$" matched ${entry})
    add_test(NAME ${name}@${CMAKE_MATCH_1}
      COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} -cpu ${CMAKE_MATCH_1} $<TARGET_FILE:${name}>)
    set_property(TEST ${name}@${CMAKE_MATCH_1} PROPERTY ENVIRONMENT EDGEQ_FASTEST_ISA=${CMAKE_MATCH_2})
  endforeach()
endfunction()
