# SPDX-License-Identifier: Apache-2.0
"""What is compared: number formats, methods, and how long models are trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evidence.cells import Cell

from edgeq.training.settings import Settings

MODELS = ("stories260K", "babyllama-tok361", "books-6m")
# Scheme by bits; below 4 bits finer groups, as the presets have them.
SCHEMES = {8: "w8g128", 4: "w4g128", 3: "w3g64", 2: "w2g32-asym"}
STEPS = {"stories260K": 150, "babyllama-tok361": 150, "books-6m": 150}
RATES = {8: 1e-4, 4: 2e-4, 3: 5e-4, 2: 1e-3}  # peak learning rates: fewer bits take longer ways
LENGTH, BATCH = 256, 8
SEED = 0  # of the calibration sample
_SEARCHED = (("gptq.beta", "auto"), ("gptq.clip", "minmax"))


@dataclass(frozen=True)
class Variant:
    """A way to quantize.

    Attributes:
        label: For tables.
        bits: Of the weights.
        method: As ``--method``; ``fp32`` and ``fp16`` quantize nothing.
        options: Of the method; of ``qat``: ``gamma``.
        calibrated: Whether it sees calibration.
    """

    label: str
    bits: int
    method: str
    options: tuple[tuple[str, str | float | bool], ...] = ()
    calibrated: bool = False

    def cell(self, model: str) -> Cell:
        """What is recorded."""
        scheme = SCHEMES.get(self.bits, self.method)
        options = (*self.options, ("steps", STEPS[model])) if self.method == "qat" else self.options
        return Cell(model, scheme, self.method, options, SEED if self.calibrated else None)


def variants() -> Iterator[Variant]:
    """All of them, the quickest first."""
    yield Variant("fp32", 32, "fp32")
    yield Variant("fp16", 16, "fp16")
    for bits in SCHEMES:
        yield Variant("PTQ, γ = 1", bits, "rtn", (("rtn.gamma", 1.0),))
        yield Variant("PTQ, γ searched", bits, "rtn", (("rtn.gamma", "auto"),), calibrated=True)
        if bits < 8:
            yield Variant("GPTQ", bits, "gptq", calibrated=True)
            yield Variant("GPTQ, refitted", bits, "gptq+refit", _SEARCHED, calibrated=True)
    for bits in (4, 3, 2, 8):
        yield Variant("QAT, γ trained", bits, "qat", (("gamma", "group"),))
    yield Variant("QAT, γ = 1", 4, "qat", (("gamma", "off"),))


def training_settings(model: str, bits: int, gamma: str) -> Settings:
    """How a variant is trained."""
    return Settings.build(
        scheme=SCHEMES[bits],
        gamma=gamma,
        steps=STEPS[model],
        batch=BATCH,
        length=LENGTH,
        learning_rate=RATES[bits],
        bfloat16=model == "books-6m",
    )
