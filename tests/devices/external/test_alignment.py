# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.external.alignment import align
from edgeq_devices.external.recording import SUPPLY, Recording
from edgeq_devices.profiling import random_pattern
from tests.devices.external.recorded import LOADS, recorded


@pytest.mark.parametrize("offset", [0.0, 83.25, -1000.4, 1.7e9])
def test_clocks_are_aligned_by_the_load_pattern(offset: float) -> None:
    recording = recorded(offset)
    found = align(recording, LOADS)
    assert found.offset == pytest.approx(offset, abs=0.02)
    assert found.correlation > 0.9
    energy = recording.shifted(found.offset).window(*LOADS[0])
    assert energy.joules[SUPPLY] == pytest.approx(7.7, rel=0.03)


def test_the_pattern_is_found_among_others_in_a_long_recording() -> None:
    patterns = []
    for number in range(6):
        seconds = np.cumsum(random_pattern(number)) + 100.0 * number
        patterns.append([(float(a), float(b)) for a, b in zip(seconds[:-1:2], seconds[1::2], strict=True)])
    recording = recorded(50.0, 50.0, (0.0, 3600.0), [span for pattern in patterns for span in pattern])
    for pattern in patterns:
        assert align(recording, pattern).offset == pytest.approx(50.0, abs=0.03)


def test_ten_samples_a_second_are_enough() -> None:
    assert align(recorded(7.0, rate=10.0), LOADS).offset == pytest.approx(7.0, abs=0.08)


@pytest.mark.parametrize("watts", [np.full(3000, 3.0), np.random.default_rng(0).normal(3, 0.3, 3000)])
def test_power_that_does_not_follow_the_pattern_is_refused(watts: np.ndarray) -> None:
    with pytest.raises(EdgeqError, match="does not follow the load pattern"):
        align(Recording(np.arange(3000) * 0.01, watts), LOADS)


def test_a_recording_of_a_second_is_refused() -> None:
    with pytest.raises(EdgeqError, match=r"shorter than the load pattern, found 1\.0 s, wanted 6\.2 s"):
        align(recorded(0.0, span=(100.0, 101.01)), LOADS)
