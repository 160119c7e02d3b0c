# SPDX-License-Identifier: Apache-2.0
"""The calibration that a recipe asks for, its length chosen where it is to be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.calibration.data import DEFAULT_LENGTH, WindowSource, context_length, is_decoder, read_calibration
from edgeq.calibration.sources import holds_token_ids, read_inputs
from edgeq.calibration.task_lengths import LengthChoice, choose_length, read_task_lengths
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.runtime.tokenizer import Tokenizer

if TYPE_CHECKING:
    from edgeq.quantization.blockwise import Calibration
    from edgeq.quantization.plan import Plan
    from edgeq.recipe import Recipe

AUTO = "auto"


def read_recipe_calibration(
    recipe: Recipe, checkpoint: Checkpoint, plan: Plan | None, work: Path | None
) -> Calibration | None:
    """The windows of a recipe; none without a calibration file.

    Args:
        recipe: What to do.
        checkpoint: The model.
        plan: Schemes and methods, with which lengths are compared; without them that is left out.
        work: Where the run keeps its finished blocks.

    Raises:
        EdgeqError: As `read_calibration`, `read_task_lengths`, `choose_length` and `search_length`, or task lengths are
            given beside a length or without calibration.
    """
    if recipe.calibration is None:
        if recipe.task_lengths is not None or recipe.length == AUTO:
            raise EdgeqError("no calibration whose length to choose", field="--length", remedy="add --calibration FILE")
        return None
    from edgeq.quantization.blockwise import Calibration

    file, samples = Path(recipe.calibration), recipe.samples
    if recipe.length is None and recipe.task_lengths is None:
        choice = _length_of_inputs(checkpoint, file)
        samples = samples * DEFAULT_LENGTH // choice.length if choice else samples
    else:
        choice = _choose(recipe, checkpoint, plan)
    given = recipe.length if isinstance(recipe.length, int) else None
    data = read_calibration(checkpoint, file, samples, choice.length if choice else given, recipe.seed)
    return Calibration(data, work, sequential=recipe.sequential, length_reason=choice.reason if choice else None)


def _choose(recipe: Recipe, checkpoint: Checkpoint, plan: Plan | None) -> LengthChoice | None:
    """The length that is to be chosen, if one is."""
    if recipe.task_lengths is not None:
        if recipe.length not in (None, AUTO):
            raise EdgeqError(
                "two calibration lengths",
                field="--length",
                found=f"{recipe.length} beside --task-lengths {recipe.task_lengths}",
                wanted="one of them",
            )
        lengths = read_task_lengths(recipe.task_lengths, lambda text: _tokens(checkpoint, text))
        return choose_length(lengths, context_length(checkpoint.config))
    if recipe.length != AUTO or plan is None:
        return None
    from edgeq.quantization.length_search import search_length

    assert recipe.calibration is not None
    return search_length(checkpoint, plan, WindowSource.open(checkpoint, Path(recipe.calibration)), recipe.seed)


def _length_of_inputs(checkpoint: Checkpoint, file: Path) -> LengthChoice | None:
    """For an encoder, windows about as long as the file's texts, as it reads each by itself.

    Its special tokens, on which its largest activations are, have the share of all tokens that they will have in use.
    """
    if is_decoder(checkpoint.config) or holds_token_ids(file):
        return None
    context = context_length(checkpoint.config)
    lengths = Counter(min(_tokens(checkpoint, text), context) for text in read_inputs(file))
    if lengths.total() < 2:
        return None
    choice = choose_length(lengths, context)
    return replace(choice, reason=f"texts of the calibration file: {choice.reason}")


def _tokens(checkpoint: Checkpoint, text: str) -> int:
    return len(_tokenizer(checkpoint.directory).encode(text))


@lru_cache(maxsize=1)
def _tokenizer(directory: Path) -> Tokenizer:
    return Tokenizer.from_directory(directory)
