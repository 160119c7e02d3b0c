# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_model, open_session, random_uniform

TASKS = Path("/proc/self/task")
FORM = UniformFormat(4, 128)
MODEL = dint_gemm_model(FORM, random_uniform(FORM, 1030, 1024), 8)  # large enough to be divided
FLOAT_MODEL = dint_gemm_model(FORM, random_uniform(FORM, 1030, 1024), 32)


def activations(tokens: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((tokens, 1024), np.float32)


@pytest.mark.parametrize("model", [MODEL, FLOAT_MODEL], ids=["int8", "float"])
@pytest.mark.parametrize("tokens", [1, 5, 130])
def test_results_do_not_depend_on_the_number_of_threads(model: bytes, tokens: int) -> None:
    x = activations(tokens)
    one, two = (open_session(model, threads).run(None, {"X": x})[0] for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_concurrent_calls_of_one_session_and_of_several() -> None:
    inputs = [activations(tokens, seed) for seed, tokens in enumerate([1, 3, 40, 17, 1, 8])]
    expected = [open_session(MODEL).run(None, {"X": x})[0] for x in inputs]
    sessions = [open_session(MODEL, 2), open_session(MODEL, 1)]

    def call(index: int) -> bool:
        which = index % len(inputs)
        y = sessions[index // 3 % 2].run(None, {"X": inputs[which]})[0]
        return bool(np.array_equal(y, expected[which]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(60)))


@pytest.mark.skipif(not TASKS.is_dir(), reason="counts threads in /proc/self/task")
def test_a_session_of_one_thread_starts_none() -> None:
    before = set(TASKS.iterdir())  # some of which may end meanwhile
    session = open_session(MODEL, 1)
    session.run(None, {"X": activations(130)})
    assert set(TASKS.iterdir()) <= before
