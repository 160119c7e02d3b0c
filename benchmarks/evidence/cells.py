# SPDX-License-Identifier: Apache-2.0
"""One measured configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

OWN = "edgeq"


@dataclass(frozen=True)
class Cell:
    """What is quantized, how, and with which calibration sample; equal cells are measured once.

    Attributes:
        model: Name of the subject.
        scheme: Scheme string of the linear layers, or another tool's name of a type.
        method: Quantization method.
        options: Further options of the method, name and value.
        seed: Which calibration sample; ``None`` for methods that take none.
        tool: Whose quantizer.
    """

    model: str
    scheme: str
    method: str
    options: tuple[tuple[str, Any], ...] = field(default=())
    seed: int | None = None
    tool: str = OWN

    @property
    def key(self) -> str:
        """The same text for equal cells."""
        return json.dumps(self.as_dict(), sort_keys=True)

    @property
    def label(self) -> str:
        """For people."""
        options = " ".join(f"{name}={value}" for name, value in self.options)
        seed = "" if self.seed is None else f"seed {self.seed}"
        return " ".join(part for part in (self.model, self.tool, self.scheme, self.method, options, seed) if part)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "tool": self.tool,
            "scheme": self.scheme,
            "method": self.method,
            "options": dict(self.options),
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Cell:
        """The inverse of `as_dict`."""
        return cls(**{**values, "options": tuple(values["options"].items())})
