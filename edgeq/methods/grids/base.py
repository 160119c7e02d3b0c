# SPDX-License-Identifier: Apache-2.0
"""What all grids share: the levels that the weights of one group may take, for many rows at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

Clip = Literal["minmax", "mse", "l3"]


@dataclass(frozen=True)
class GridOptions:
    """How a grid is fitted to the weights of a group.

    Attributes:
        clip: ``minmax`` covers the whole range; ``mse`` shrinks it, per group, to the least squared error; ``l3`` to
            the least cubic error, which clips less.
        beta: What the range is multiplied by after that (MagR's step multiplier, arXiv 2406.00800, section 4);
            ``auto``: the multiplier of least output error for each row, which takes calibration.
    """

    clip: Clip = "l3"
    beta: float | Literal["auto"] = 1.0

    @property
    def multiplier(self) -> float:
        """Beta as a number; the full range while it is to be searched."""
        return 1.0 if self.beta == "auto" else self.beta


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
