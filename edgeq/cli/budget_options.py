# SPDX-License-Identifier: Apache-2.0
"""``edgeq export``'s options for bit allocation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from edgeq.cli.console import parse_bytes
from edgeq.cli.ranges import parse_time

AvgBits = Annotated[
    float | None,
    Option(
        "--avg-bits",
        help="Give each layer the bits with which the loss rises least; on average so many stored bits per weight.",
        show_default=False,
    ),
]
MaxSize = Annotated[
    str | None, Option("--max-size", help="The same, within a size of the whole bundle: 400MB.", show_default=False)
]
MaxMemory = Annotated[
    str | None,
    Option(
        "--max-memory",
        help="The same, within the memory for weights, keys and values of a whole context, and runtime.",
        show_default=False,
    ),
]
MaxLatency = Annotated[
    str | None,
    Option(
        "--max-latency",
        help="The same, within a time for all matrix products of one token on --device: 50ms.",
        show_default=False,
    ),
]
MaxEnergy = Annotated[
    float | None, Option("--max-energy", help="The same, in joules; the board needs a meter.", show_default=False)
]
Candidates = Annotated[
    str | None,
    Option(
        "--candidates",
        help="Schemes to choose among: w2g64,w3g64,w4g64,w8. (default: 2, 3, 4 and 8 bits like --scheme)",
        show_default=False,
    ),
]
Sensitivity = Annotated[
    str | None,
    Option(
        "--sensitivity",
        help="How the rise of the loss is predicted: output, fisher, noise or kl. (default: noise; encoders: output)",
        show_default=False,
    ),
]
Algorithm = Annotated[
    str | None,
    Option("--allocation", help="exact (dynamic programming) or greedy. (default: exact)", show_default=False),
]
Split = Annotated[
    bool, Option("--split-inputs", help="Let q, k and v, or gate and up, have different bits; they run unfused then.")
]
Costs = Annotated[
    Path | None,
    Option("--layer-costs", help="Times from `edgeq profile MODEL --layers`, for --max-latency.", show_default=False),
]
Device = Annotated[
    str | None,
    Option("--device", help="Board on which layers are timed for --max-latency.", show_default=False),
]
Cache = Annotated[
    Path | None,
    Option("--cache", help="Where sensitivities and times are kept. (default: ~/.cache/edgeq)", show_default=False),
]


@dataclass(frozen=True)
class Limits:
    """What the result may take; as the options of the same names say it."""

    avg_bits: float | None
    max_size: str | None
    max_memory: str | None
    max_latency: str | None
    max_energy: float | None

    def fields(self) -> dict[str, Any]:
        """The same as numbers, by the names of a recipe's budget.

        Raises:
            EdgeqError: A size or a time is malformed.
        """
        return {
            "avg_bits": self.avg_bits,
            "max_size": parse_bytes(self.max_size, "--max-size") if self.max_size else None,
            "max_memory": parse_bytes(self.max_memory, "--max-memory") if self.max_memory else None,
            "max_latency": parse_time(self.max_latency, "--max-latency") if self.max_latency else None,
            "max_energy": self.max_energy,
        }


@dataclass(frozen=True)
class Search:
    """How schemes are chosen within the limits; as the options say it."""

    candidates: str | None
    sensitivity: str | None
    algorithm: str | None
    split: bool
    layer_costs: Path | None

    def fields(self) -> dict[str, Any]:
        """The same by the names of a recipe's budget."""
        return {
            "candidates": [text.strip() for text in self.candidates.split(",")] if self.candidates else None,
            "sensitivity": self.sensitivity,
            "algorithm": self.algorithm,
            "split": self.split or None,
            "layer_costs": str(self.layer_costs.absolute()) if self.layer_costs else None,
        }


def budget_fields(limits: Limits, search: Search) -> dict[str, Any] | None:
    """The fields of a recipe's budget that are given; ``None`` if none is.

    Raises:
        EdgeqError: A size or a time is malformed.
    """
    fields = {**limits.fields(), **search.fields()}
    return {name: value for name, value in fields.items() if value is not None} or None
