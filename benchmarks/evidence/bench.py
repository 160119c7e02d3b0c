# SPDX-License-Identifier: Apache-2.0
"""Measures the cells of one model; what they share is made once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from evidence.cells import OWN, Cell
from evidence.others import OtherTools
from evidence.own import OwnTool
from evidence.quality import DecoderQuality, EncoderQuality
from evidence.ranks import Ranks
from evidence.subjects import ENCODER, Subject


class Bench:
    """Everything that can be measured on one model.

    Args:
        subject: The model.
        directory: Scratch space.
    """

    def __init__(self, subject: Subject, directory: Path) -> None:
        self._subject = subject
        self._quality = EncoderQuality(subject) if subject.name == ENCODER else DecoderQuality(subject)
        self._own = OwnTool(subject, self._quality, directory)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Measures a cell.

        Raises:
            EdgeqError: edgeq refuses it.
        """
        if cell.tool != OWN:
            return self._others.run(cell)
        if cell.method == "ranks" or "rank" in dict(cell.options):
            return self._ranks.run(cell)
        return self._own.run(cell)

    @cached_property
    def _others(self) -> OtherTools:
        return OtherTools(self._subject, self._decoder_quality)

    @cached_property
    def _ranks(self) -> Ranks:
        return Ranks(self._subject, self._decoder_quality)

    @property
    def _decoder_quality(self) -> DecoderQuality:
        assert isinstance(self._quality, DecoderQuality)
        return self._quality
