# SPDX-License-Identifier: Apache-2.0
import time

from edgeq_devices import cpu
from edgeq_devices.cpu import CpuTime, parse_busy_ticks, parse_cpuinfo, read_cpu, read_cpu_time

X86 = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC-Genoa Processor
flags\t\t: fpu sse avx2 avx512f avx512_vnni

processor\t: 1
model name\t: AMD EPYC-Genoa Processor
flags\t\t: fpu sse avx2 avx512f avx512_vnni
"""
# A big.LITTLE board: only what both clusters have may be used. The board's name is in the last lines.
ARM = """\
processor\t: 0
Features\t: fp asimd crc32 asimddp
CPU part\t: 0xd05

processor\t: 4
Features\t: fp asimd crc32 asimddp i8mm
CPU part\t: 0xd0b

Revision\t: c04170
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""
TICK = 0.02  # seconds: what os.times() and time.process_time() may differ by
STAT = "cpu  21314 10 4956 165349 690 3 127 21 5 6\ncpu0 1896 0 853 93338 91 0 10 7 0 0\n"


def test_x86():
    found = parse_cpuinfo(X86)
    assert found.model == "AMD EPYC-Genoa Processor"
    assert found.features == {"fpu", "sse", "avx2", "avx512f", "avx512_vnni"}


def test_arm_has_the_features_of_all_cores():
    found = parse_cpuinfo(ARM)
    assert found.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert found.features == {"fp", "asimd", "crc32", "asimddp"}


def test_nothing_known_is_none(tmp_path):
    assert parse_cpuinfo("") == read_cpu(tmp_path) == cpu.Cpu(None, frozenset())


def test_busy_is_everything_but_idle_and_waiting_and_guests_are_not_counted_twice():
    assert parse_busy_ticks(STAT) == 21314 + 10 + 4956 + 3 + 127 + 21


def test_others_is_what_is_left():
    assert (CpuTime(10.0, 4.0) - CpuTime(3.0, 2.0)).others == 5.0
    assert CpuTime(1.0, 1.01).others == 0.0  # the clock ticks are coarser than a process's own time


def test_own_time_counts_as_own():
    before, earlier, start = time.process_time(), read_cpu_time(), time.process_time()
    while (passed := read_cpu_time() - earlier).own < 0.2 or passed.busy < passed.own - 0.05:
        assert time.process_time() < before + 60  # the kernel may count ticks late
    end, later, after = time.process_time(), read_cpu_time(), time.process_time()
    assert end - start - TICK <= (later - earlier).own <= after - before + TICK


def test_a_hidden_stat_is_none(tmp_path):
    assert read_cpu_time(tmp_path) is None
