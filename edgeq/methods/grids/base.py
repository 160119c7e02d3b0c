# SPDX-License-Identifier: Apache-2.0
"""What all grids share: the levels that the weights of one group may take, for many rows at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from edgeq.errors import EdgeqError
from edgeq.methods.option_types import Positive

Clip = Literal["minmax", "mse", "l3"]
# What `gamma=auto` tries. A Gaussian of 128 weights wants 0.91 at 4 bits, 0.69 at 3, 0.40 at 2.
GAMMAS = tuple(hundredth / 100 for hundredth in range(100, 18, -2))


@dataclass(frozen=True)
class GridOptions:
    """How a grid is fitted to the weights of a group.

    Attributes:
        clip: ``minmax`` covers the whole range; ``mse`` shrinks it, per group, to the least squared error; ``l3`` to
            the least cubic error, which clips less.
        beta: What the range is multiplied by after that (MagR's step multiplier, arXiv 2406.00800, section 4);
            ``auto``: the multiplier of least output error for each row, which takes calibration.
        gamma: The step in units of max|w|/(2^(b−1) − 1), in place of ``clip`` and ``beta`` (`edgeq.methods.gamma`);
            ``auto``: that of `GAMMAS` with the least error. For grids of equal steps.

    Raises:
        EdgeqError: γ is not positive, or stands beside β.
    """

    clip: Clip = "l3"
    beta: Positive | Literal["auto"] = 1.0
    gamma: Positive | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        if self.gamma is not None and self.beta != 1.0:
            raise EdgeqError("two multipliers of the range", field="beta, gamma", wanted="one of them")
        if isinstance(self.gamma, float) and not 0 < self.gamma < 100:
            raise EdgeqError("out of range", field="gamma", found=self.gamma, wanted="a positive number such as 0.8")

    @property
    def multiplier(self) -> float:
        """Beta as a number; the full range while it is to be searched."""
        return 1.0 if self.beta == "auto" else self.beta

    def ratios(self, usual: Sequence[float], at_one: float) -> list[float]:
        """Fractions of the whole range to try; of several, the one with the least error is wanted.

        Args:
            usual: The fractions of a search, the whole first.
            at_one: The fraction at γ = 1.
        """
        if self.gamma is not None:
            return [gamma * at_one for gamma in (GAMMAS if self.gamma == "auto" else (self.gamma,))]
        return [ratio * self.multiplier for ratio in (usual[:1] if self.clip == "minmax" else usual)]

    @property
    def order(self) -> int:
        """The power of an error that a search adds up."""
        return 2 if self.clip == "mse" or self.gamma is not None else 3


@dataclass(frozen=True)
class Grid(ABC):
    """The levels of one group of columns; row r of every tensor field belongs to row r of the weights."""

    @abstractmethod
    def round(self, columns: Tensor) -> Tensor:
        """Codes of the nearest levels: float32 ``[N, k]`` to uint8 ``[N, k]``."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """What the packed weight decodes to, through float16 scales: uint8 ``[N, k]`` to float32 ``[N, k]``."""

    def nearest(self, columns: Tensor) -> Tensor:
        """``decode(round(columns))``, for loops that need no codes."""
        return self.decode(self.round(columns))

    def select(self, rows: slice | Tensor) -> Self:
        """The grid of some of its rows."""
        return self._map(lambda value: value[rows])

    def _map(self, change: Any) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: change(value) for name, value in values.items() if isinstance(value, torch.Tensor)}
        return replace(self, **tensors)
