# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.profiler import measure_job

JOB = Job(Model("some-bundle"), Test(prompt=4), threads=1, repetitions=3)
# A worker whose model sleeps a millisecond per token and holds 16 MiB while it is loaded.
SLEEPER = """
import sys, time
from edgeq_devices.worker import main

class Sleeper:
    vocabulary, context, instruction_set = 100, 64, "none_at_all"
    def __init__(self): self.weights = bytearray(b"x") * (16 << 20)
    def reset(self): pass
    def advance(self, tokens): time.sleep(len(tokens) / 1000)

sys.exit(main(lambda job: Sleeper()))
"""


def python(code):
    return [sys.executable, "-c", code]


def test_a_job_is_measured_in_a_process_of_its_own():
    events = []
    result = measure_job(JOB, events.append, python(SLEEPER))
    assert [event["event"] for event in events] == ["loaded", *["repetition"] * 3, "done"]
    assert len(result.samples_ns) == 3
    assert all(sample >= 4_000_000 for sample in result.samples_ns)
    assert 16 << 20 <= result.memory_loaded.anonymous - result.memory_before.anonymous < 18 << 20
    assert result.memory_peak.anonymous >= result.memory_loaded.anonymous
    assert (
        result.memory_peak.peak
        <= result.memory_peak.anonymous + result.memory_peak.file_backed + result.memory_peak.shared + (8 << 20)
    )
    assert result.instruction_set == "none_at_all"


def test_a_mendable_error_in_the_worker_arrives_as_one():
    too_long = Job(Model("some-bundle"), Test(prompt=65), threads=1)
    with pytest.raises(EdgeqError, match=r"^pp65: the test does not fit .* found 65 tokens, wanted at most 64$"):
        measure_job(too_long, worker=python(SLEEPER))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import sys; sys.exit('out of luck')",
            r"some-bundle: pp4: .* ended without a result, found exit code 1: out of luck",
        ),
        ("import os; os.kill(os.getpid(), 9)", r"found SIGKILL; it may have run out of memory"),
        ("import os; os.abort()", r"found SIGABRT"),
        ("pass", r"found exit code 0"),
        ("print('hello')", r"something else than events, found 'hello\\n'"),
        ("print('[1]')", r"something else than events"),
        ("print('{}')", r"something else than events"),
    ],
)
def test_a_worker_that_breaks_is_reported(code, message):
    with pytest.raises(EdgeqError, match=message):
        measure_job(JOB, worker=python(code))


def test_an_interrupt_leaves_no_process_behind():
    pids = []

    def interrupt(event):
        pids.append(event["pid"])
        raise KeyboardInterrupt

    announce = 'print(json.dumps({"event": "loaded", "pid": os.getpid()}), flush=True)'
    with pytest.raises(KeyboardInterrupt):
        measure_job(JOB, interrupt, python(f"import json, os, time; {announce}; time.sleep(60)"))
    assert subprocess.run(["kill", "-0", str(pids[0])], capture_output=True).returncode != 0
