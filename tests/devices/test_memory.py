# SPDX-License-Identifier: Apache-2.0
import gc
import subprocess
import sys

import pytest

from edgeq_devices.memory import Memory, PeakSampler, parse_status, read_memory

STATUS = """\
Name:\tpython3
VmPeak:\t  812340 kB
VmHWM:\t  150000 kB
VmRSS:\t  140500 kB
RssAnon:\t   90000 kB
RssFile:\t   50000 kB
RssShmem:\t     500 kB
VmSwap:\t       0 kB
Cpus_allowed_list:\t0-1
"""
# Holds 64 MiB for a moment, then 1 MiB; prints when each is reached and waits for a line.
GROW_AND_SHRINK = """
block = b"x" * (64 << 20); print("large", flush=True); input()
del block; print("small", flush=True); input()
"""


def test_status_is_read_in_bytes():
    assert parse_status(STATUS) == Memory(90000 * 1024, 50000 * 1024, 500 * 1024, 150000 * 1024)


@pytest.mark.parametrize("field", ["RssAnon", "RssFile", "RssShmem", "VmHWM"])
def test_a_missing_field_is_named(field):
    text = "".join(line for line in STATUS.splitlines(keepends=True) if not line.startswith(field))
    with pytest.raises(ValueError, match=f"no {field} "):
        parse_status(text)


def test_own_memory_grows_by_what_is_written():
    gc.collect()
    before = read_memory()
    block = bytearray(b"x") * (64 << 20)
    # The kernel's counters lag by some pages per processor, and huge pages are rounded up.
    assert read_memory().anonymous - before.anonymous == pytest.approx(64 << 20, abs=8 << 20)
    assert len(block) == 64 << 20


def test_maximum_takes_each_field_by_itself():
    assert Memory(1, 20, 3, 4).maximum(Memory(10, 2, 3, 5)) == Memory(10, 20, 3, 5)


def test_the_sampler_keeps_a_peak_that_has_passed():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", GROW_AND_SHRINK], **pipes) as process:
        assert process.stdout.readline() == "large\n"
        with PeakSampler(process.pid, interval=0.001) as sampler:
            while sampler.peak is None:
                pass
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "small\n"
            now = read_memory(process.pid)
        process.stdin.write("\n")
        process.stdin.close()
    assert sampler.peak.anonymous - now.anonymous >= 56 << 20


def test_the_sampler_stops_when_its_process_ends():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process, PeakSampler(process.pid, interval=0.001) as sampler:
        while sampler.peak is None:
            pass
        process.stdin.close()
        process.wait()
    assert sampler.peak.peak > 0
