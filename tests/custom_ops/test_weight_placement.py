# SPDX-License-Identifier: Apache-2.0
"""Weights in huge pages: EDGEQ_WEIGHTS."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

import edgeq_ops
from edgeq.errors import EdgeqError
from edgeq.formats.bcq import BcqFormat
from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_model, gemm_model, open_session, random_bcq, random_uniform

ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
GRANTED = ENABLED.is_file() and "[never]" not in ENABLED.read_text()


def models() -> list[bytes]:
    """Weights smaller than a huge page, which share one, of both operators."""
    uniform, bcq = UniformFormat(4, 32), BcqFormat(2, 128)
    attributes = {"K": 512, "N": 200, "bits": 2, "group_size": 128, "table_bits": 8}
    lookup = gemm_model("LutGemm", bcq.pack(random_bcq(bcq, 200, 512)), attributes, None, 2)
    return [dint_gemm_model(uniform, random_uniform(uniform, 300, 512, seed), 8) for seed in range(3)] + [lookup]


def test_results_are_those_of_mapped_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).standard_normal((9, 512), np.float32)
    mapped = [open_session(model).run(None, {"X": x})[0] for model in models()]
    monkeypatch.setenv("EDGEQ_WEIGHTS", "huge-pages")
    sessions = [open_session(model) for model in models()]
    del sessions[0]  # its neighbours in the page stay
    for session, wanted in zip(sessions, mapped[1:], strict=True):
        np.testing.assert_array_equal(session.run(None, {"X": x})[0], wanted)


@pytest.mark.skipif(not GRANTED, reason="the system grants no huge pages")
def test_the_copy_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_WEIGHTS", "huge-pages")
    form = UniformFormat(8, 128)
    model = dint_gemm_model(form, random_uniform(form, 4096, 2048), 8)
    gc.collect()
    before, _ = advised_bytes()
    session = open_session(model)
    assert session.run(None, {"X": np.ones((1, 2048), np.float32)})[0].shape == (1, 4096)
    while_open, huge = advised_bytes()
    del session
    assert while_open - before >= 8 << 20
    assert advised_bytes()[0] <= before
    if not huge:
        pytest.skip("no huge pages were free")


def advised_bytes() -> tuple[int, int]:
    """Resident bytes of this process where huge pages were asked for, and those of them that are in huge pages."""
    resident = huge = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        field, *values = line.split()
        if field == "Rss:":
            mapped = int(values[0]) << 10
        elif field == "AnonHugePages:":
            granted = int(values[0]) << 10
        elif field == "VmFlags:" and "hg" in values:  # the last line of a mapping
            resident, huge = resident + mapped, huge + granted
    return resident, huge


def test_what_new_sessions_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEQ_WEIGHTS", raising=False)
    assert edgeq_ops.instruction_sets().weights == "mapped"
    monkeypatch.setenv("EDGEQ_WEIGHTS", "huge-pages")
    found = edgeq_ops.instruction_sets()
    assert (found.weights, bool(found.weights_obstacle)) == (("huge-pages", False) if GRANTED else ("mapped", True))


def test_unknown_placement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_WEIGHTS", "attic")
    message = "environment variable EDGEQ_WEIGHTS: found 'attic', wanted mapped or huge-pages"
    with pytest.raises(Exception, match=message):
        open_session(models()[0])
    with pytest.raises(EdgeqError, match="EDGEQ_WEIGHTS: found 'attic'"):
        edgeq_ops.instruction_sets()
