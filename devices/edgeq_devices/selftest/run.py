# SPDX-License-Identifier: Apache-2.0
"""Runs every case through ONNX Runtime and compares with float64."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime

from edgeq_devices.selftest import cases
from edgeq_ops.library import register

MODEL = "operators.onnx"
TOKENS = (1, 9)
"""One token takes the matrix-vector kernels, several take the blocked ones."""


@dataclass(frozen=True)
class Outcome:
    """One operator on one number of tokens.

    Attributes:
        name: The case, or ``gather_`` and the case.
        tokens: Rows of the activations.
        error: Relative error, Euclidean norm, against float64.
        tolerance: What the format and the 8-bit activations allow.
    """

    name: str
    tokens: int
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the tolerance."""
        return bool(self.error <= self.tolerance)


def model_bytes() -> bytes:
    """The model with one node per case; kept as data because a board has no onnx package to make it."""
    return resources.files(__package__).joinpath(MODEL).read_bytes()


def run_selftest(library: Path | None = None) -> list[Outcome]:
    """Runs the operators of ``library`` (by default the installed one).

    Raises:
        EdgeqError: There is no operator library or it cannot be loaded.
        Exception: ONNX Runtime's own, if an operator refuses its node.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised as well
    register(options, library)
    session = onnxruntime.InferenceSession(model_bytes(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [outcome for tokens in TOKENS for outcome in _run(session, names, tokens)]


def _run(session: onnxruntime.InferenceSession, names: list[str], tokens: int) -> list[Outcome]:
    inputs, indices = cases.activations(tokens), np.arange(tokens, dtype=np.int64) * 4
    found = dict(zip(names, session.run(names, {"X": inputs, "indices": indices}), strict=True))
    weights = {case.name: cases.decoded(case.format) for case in cases.CASES}
    wanted = {case.name: inputs.astype(np.float64) @ weights[case.name].T for case in cases.CASES}
    outcomes = [
        Outcome(case.name, tokens, _error(found[case.name], wanted[case.name]), case.tolerance) for case in cases.CASES
    ]
    for name in cases.GATHERED:
        error = _error(found[f"gather_{name}"], weights[name][indices])
        outcomes.append(Outcome(f"gather_{name}", tokens, error, 1e-6))
    return outcomes


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
