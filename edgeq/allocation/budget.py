# SPDX-License-Identifier: Apache-2.0
"""What a recipe says about bit allocation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgeq.allocation.sensitivity.table import Kind
from edgeq.errors import EdgeqError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Algorithm = Literal["exact", "greedy"]
LIMITS = ("avg_bits", "max_size", "max_memory", "max_latency", "max_energy")


class Budget(BaseModel):
    """Limits, and how schemes are chosen within them.

    Attributes:
        avg_bits: Stored bits per weight over all linear layers except the output head, scales and padding included.
        max_size: Bytes of the whole bundle.
        max_memory: Bytes in memory while a whole context is generated: weights, keys and values, runtime.
        max_latency: Seconds of all matrix products of one token (of an encoder: one sentence).
        max_energy: Joules of the same.
        candidates: Schemes; by default those of `default_candidates`.
        sensitivity: How damage is predicted; by default ``noise``, of an encoder ``output``.
        algorithm: ``exact`` (dynamic programming) or ``greedy``.
        split: Let layers that read the same input have different schemes; they then run as separate operators.
        layer_costs: File that ``edgeq profile --layers`` wrote; needed for time and energy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    avg_bits: Positive | None = None
    max_size: Annotated[int, Field(gt=0)] | None = None
    max_memory: Annotated[int, Field(gt=0)] | None = None
    max_latency: Positive | None = None
    max_energy: Positive | None = None
    candidates: list[str] | None = None
    sensitivity: Kind | None = None
    algorithm: Algorithm = "exact"
    split: bool = False
    layer_costs: str | None = None

    @model_validator(mode="after")
    def _check_limits(self) -> Budget:
        if not self.limits():
            options = ", ".join(option_of(name) for name in LIMITS)
            raise EdgeqError("no budget", field="budget", wanted=f"one of {options}")
        if (self.max_latency or self.max_energy) and not self.layer_costs:
            raise EdgeqError(
                "no costs of layers",
                field=option_of("max_latency" if self.max_latency else "max_energy"),
                remedy="add --device, or --layer-costs FILE from: edgeq profile --layers MODEL --device … -o FILE",
            )
        return self

    def limits(self) -> dict[str, float]:
        """The limits that are set, by field."""
        return {name: value for name in LIMITS if (value := getattr(self, name)) is not None}


def option_of(field: str) -> str:
    """The command line's name of a field."""
    return f"--{field.replace('_', '-')}"
