# SPDX-License-Identifier: Apache-2.0
# Tests run under qemu-user, if there is one, with the C library of EDGEQ_SYSROOT. The including file sets EDGEQ_QEMU.
find_program(EDGEQ_EMULATOR NAMES ${EDGEQ_QEMU}-static ${EDGEQ_QEMU})
if(EDGEQ_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${EDGEQ_EMULATOR} -L ${EDGEQ_SYSROOT})
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGEQ_ZIG EDGEQ_SYSROOT)
