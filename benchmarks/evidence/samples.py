# SPDX-License-Identifier: Apache-2.0
"""Calibration samples: windows of the calibration text, drawn by a seed, the same for every tool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeq.runtime.tokenizer import Tokenizer
from evidence.subjects import ENCODER, Subject

SAMPLES, LENGTH, SENTENCE_LENGTH = 64, 256, 128
TEXT_CHARACTERS = 1_000_000  # of the calibration text, from its beginning


def calibration_ids(subject: Subject, seed: int) -> NDArray[np.int64]:
    """Token ids ``[samples, length]``: windows at random places of the tokenized calibration text."""
    tokenizer = Tokenizer.from_directory(subject.checkpoint)
    ids = np.array(tokenizer.encode(subject.calibration[:TEXT_CHARACTERS]), np.int64)
    length = SENTENCE_LENGTH if subject.name == ENCODER else LENGTH
    starts = np.random.default_rng(seed).choice(len(ids) - length, SAMPLES, replace=False)
    return np.stack([ids[start : start + length] for start in starts])
