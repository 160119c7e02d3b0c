# SPDX-License-Identifier: Apache-2.0
"""A tiny checkpoint and a text with something to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeq.training.settings import Settings
from tests.quantization.conftest import save_llama

VOCABULARY = 50


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 50 thousand parameters with tied embedding and head."""
    directory = tmp_path_factory.mktemp("tiny-llama")
    save_llama(directory, tie_word_embeddings=True, initializer_range=0.2)
    return directory


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 token ids."""
    path = tmp_path_factory.mktemp("text") / "ids.npy"
    np.save(path, np.random.default_rng(0).integers(0, VOCABULARY, 2000))
    return path


def settings(**changes: object) -> Settings:
    """A training of a second."""
    usual = {"scheme": "w2g32", "steps": 6, "batch": 4, "length": 16, "learning_rate": 1e-3, "evaluate_every": 2}
    return Settings.build(**{**usual, **changes})
