# SPDX-License-Identifier: Apache-2.0
"""Calibration samples: windows of the calibration text, drawn by a seed as ``--calibration`` draws them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgeq.calibration.data import CalibrationData, read_calibration
from edgeq.checkpoint import Checkpoint
from evidence.subjects import ENCODER, Subject

SAMPLES, LENGTH = 64, 256
ENCODER_LENGTH = 16  # most sentences have 8 to 20 tokens
TEXT_CHARACTERS = 1_000_000  # of the calibration text, from its beginning


def calibration_data(subject: Subject, seed: int) -> CalibrationData:
    """Windows for a model, the same for every tool."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "calibration.txt"
        file.write_text(subject.calibration[:TEXT_CHARACTERS], encoding="utf-8")
        length = ENCODER_LENGTH if subject.name == ENCODER else LENGTH
        return read_calibration(Checkpoint(subject.checkpoint), file, SAMPLES * LENGTH // length, length, seed)
