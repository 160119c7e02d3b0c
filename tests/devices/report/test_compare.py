# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeq_devices.report.compare import compare, difference
from edgeq_devices.report.documents import Profile, Row
from tests.devices.report.samples import profile, row


def a_row(samples: list[float], **changes: Any) -> Row:
    return Row.model_validate(row(samples_ts=samples, **changes))


def test_a_clear_difference_is_shown() -> None:
    found = difference(a_row([10.0, 10.1, 9.9, 10.0, 10.0]), a_row([12.0, 12.1, 11.9, 12.0, 12.0]))
    assert found.ratio == pytest.approx(1.2)
    assert found.low is not None
    assert found.high is not None
    assert 1.15 < found.low <= 1.2 <= found.high < 1.25
    assert found.distinguishable


def test_noise_shows_no_difference() -> None:
    rng = np.random.default_rng(1)
    samples = [rng.normal(10, 1, 9).tolist() for _ in range(2)]
    assert not difference(a_row(samples[0]), a_row(samples[1])).distinguishable


def test_few_samples_have_no_interval() -> None:
    found = difference(a_row([10.0, 10.0]), a_row([20.0, 20.0]))
    assert (found.ratio, found.low, found.distinguishable) == (2.0, None, False)


def test_flagged_rows_show_no_difference() -> None:
    found = difference(a_row([10.0] * 5), a_row([20.0] * 5, flags=["throttled"]))
    assert not found.distinguishable


def test_rows_are_matched_by_test_threads_and_cores() -> None:
    first = Profile.model_validate(profile(row(), row(n_threads=1), row(test="pp512"), row(cpu_mask=[0])))
    second = Profile.model_validate(profile(row(test="pp512"), row(cpu_mask=[0]), row(n_threads=2)))
    assert [entry.first.key for entry in compare(first, second)] == [("pp512", 4, ()), ("tg128", 4, (0,))]
