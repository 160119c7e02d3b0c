# SPDX-License-Identifier: Apache-2.0
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from edgeq_devices.selftest import cases
from edgeq_devices.selftest.run import Outcome, model_bytes, run_selftest

pytest.importorskip("onnx", reason="the model is compared with one made by onnx")


def _generator():
    spec = importlib.util.spec_from_file_location("make", Path(__file__).with_name("make_selftest_model.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_model_is_current():
    assert model_bytes() == _generator().build().SerializeToString(deterministic=True)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_weights_use_all_codes_and_are_finite(case):
    codes = cases.tensor(case.format).codes
    assert set(np.unique(codes)) == set(range(2**case.format.bits))
    assert np.isfinite(cases.decoded(case.format)).all()


def test_the_installed_operators_pass():
    outcomes = run_selftest()
    assert len(outcomes) == 2 * (len(cases.CASES) + len(cases.GATHERED))
    assert [outcome for outcome in outcomes if not outcome.passed] == []


def test_a_wrong_weight_fails(monkeypatch):
    right = cases.decoded
    monkeypatch.setattr(cases, "decoded", lambda fmt: right(fmt) * 1.05)
    assert not any(outcome.passed for outcome in run_selftest())


def test_not_a_number_fails():
    assert not Outcome("dint_w4", 1, math.nan, 0.02).passed
