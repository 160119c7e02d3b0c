# SPDX-License-Identifier: Apache-2.0
import pytest

from edgeq_devices.samples import Summary, rates


def test_rates_are_work_per_second_of_each_repetition():
    assert rates([500_000_000, 2_000_000_000], 100) == [200.0, 50.0]


def test_the_mean_is_the_mean_of_rates_and_the_deviation_the_sample_one():
    summary = Summary.of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert summary.mean == 5.0
    assert summary.deviation == pytest.approx((32 / 7) ** 0.5, rel=1e-15)
    assert str(summary) == "5.00 ± 2.14"


def test_one_sample_has_no_deviation():
    assert Summary.of([3.25]) == Summary(3.25, 0.0)


def test_no_samples_are_an_error():
    with pytest.raises(ValueError, match="at least one"):
        Summary.of([])
