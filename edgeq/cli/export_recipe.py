# SPDX-License-Identifier: Apache-2.0
"""The recipe that the options of ``edgeq export`` ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.recipe import Recipe


@dataclass(frozen=True)
class PresetRequest:
    """Options that choose scheme and method by what a recipe holds besides.

    Attributes:
        bits, quality, group_size: As in `edgeq.presets.preset_changes`.
        bits_per_weight: As in `edgeq.rate_target.apply_rate`.
        number_format: Format that the scheme is written in, whichever it is.
        scheme, method: What the user named himself.
    """

    bits: int | None
    quality: str | None
    group_size: int | None
    bits_per_weight: float | None
    number_format: str | None
    scheme: str | None
    method: str | None

    def apply(self, recipe: Recipe) -> Recipe:
        """The recipe with the scheme and method chosen.

        Raises:
            EdgeqError: Two options contradict each other, or there is no such preset, rate or format.
        """
        from edgeq.presets import apply_preset
        from edgeq.rate_target import apply_rate
        from edgeq.schemes import Scheme

        named = {"scheme": self.scheme, "method": self.method}
        preset = (self.bits, self.quality, self.group_size)
        if self.bits_per_weight is not None and any(value is not None for value in preset):
            raise EdgeqError(
                "two sizes of weights",
                field="--bits-per-weight",
                found=f"{self.bits_per_weight} beside --bits, --group-size or --quality",
                wanted="one of them; groups are named by --scheme w8g64",
            )
        recipe = apply_preset(recipe, bits=self.bits, quality=self.quality, group_size=self.group_size, **named)
        recipe = apply_rate(recipe, self.bits_per_weight, **named)
        if self.number_format is None:
            return recipe
        return recipe.model_copy(update={"scheme": str(Scheme.parse(recipe.scheme).in_format(self.number_format))})


@dataclass(frozen=True)
class BudgetRequest:
    """A budget, and where the times for it are measured.

    Attributes:
        fields: Of the recipe's budget; ``None`` without one.
        device: Board on which layers are timed, if they are.
        cache: Where the times are kept.
    """

    fields: dict[str, Any] | None
    device: str | None
    cache: Path | None

    @property
    def timed(self) -> bool:
        """Whether the budget is complete only with times from the board."""
        return self.device is not None and bool({"max_latency", "max_energy"} & (self.fields or {}).keys())


def make_recipe(file: Path | None, preset: PresetRequest, budget: BudgetRequest, **fields: Any) -> Recipe:
    """A recipe from a file and the options; for a budget of time or energy, layers are timed on its board.

    Args:
        file: Recipe to start from.
        preset: What is chosen by the rest of the recipe.
        budget: Limits on the result.
        fields: Further fields; ``None``: as in the file.

    Raises:
        EdgeqError: An option is wrong, or the board cannot be measured.
    """
    from edgeq.recipe import build_recipe

    recipe = preset.apply(build_recipe(file, **fields, budget=None if budget.timed else budget.fields))
    return _with_times(recipe, budget) if budget.timed else recipe


def _with_times(recipe: Recipe, budget: BudgetRequest) -> Recipe:
    from edgeq.cli.layer_costs import remembered_costs
    from edgeq.recipe import build_recipe

    fields = budget.fields or {}
    costs = remembered_costs(recipe, fields.get("candidates"), str(budget.device), budget.cache)
    return build_recipe(**{**recipe.model_dump(), "budget": fields | {"layer_costs": str(costs)}})


def parse_length(text: str | None) -> int | str | None:
    """The value of ``--length``.

    Raises:
        EdgeqError: It is neither a whole number nor ``auto``.
    """
    if text in (None, "auto"):
        return text
    if not text.isdecimal():
        raise EdgeqError("not a length", field="--length", found=repr(text), wanted="a whole number, or auto")
    return int(text)
