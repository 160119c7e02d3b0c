# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile --layers``: the times of a model's matrix products, as a table or for ``edgeq export``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.cli.console import print_or_write
from edgeq.cli.layer_costs import layer_request, time_products
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.allocation.costs import LayerCosts
    from edgeq.layer_timing import LayerRequest

RUNS = 20  # of every repetition: one is over in microseconds


@dataclass(frozen=True)
class LayerProfile:
    """What ``edgeq profile --layers`` is asked for.

    Attributes:
        model: Checkpoint directory or hub id.
        candidates: Schemes, separated by commas.
        vocabulary: Scheme of the output head.
        length: Of the sentence that an encoder reads; a decoder is timed on one token.
        device: As ``--device`` names it.
        threads: Threads; 0 for one per physical core.
        repetitions: Each of `RUNS` timed runs.
        library: Operators for the board.
        python: Interpreter there.
    """

    model: str
    candidates: str | None
    vocabulary: str | None
    length: int
    device: str
    threads: int
    repetitions: int
    library: Path | None
    python: str | None

    def request(self) -> LayerRequest:
        """What to time.

        Raises:
            EdgeqError: As `layer_request`.
        """
        from edgeq.recipe import Recipe

        recipe = Recipe(model=self.model, vocabulary=self.vocabulary)
        candidates = self.candidates.split(",") if self.candidates else None
        request = layer_request(recipe, candidates, self.device, self.threads)
        tokens = 1 if request.tokens == 1 else self.length
        runs = RUNS * self.repetitions
        return replace(request, tokens=tokens, repetitions=runs, library=self.library, python=self.python)


def profile_layers(asked: LayerProfile, output_format: str, output: Path | None) -> None:
    """Times a model's products; a table, or the JSON that ``--layer-costs`` takes.

    Args:
        asked: The model, and how its products are timed.
        output_format: ``md`` or ``json``.
        output: File, in place of stdout; of a name that ends in .json, JSON.

    Raises:
        EdgeqError: As `edgeq.layer_timing.time_layers`.
    """
    if output_format not in ("md", "json"):
        raise EdgeqError(
            "unknown format", field="--format", found=repr(output_format), wanted="md or json with --layers"
        )
    costs = time_products(asked.request())
    as_json = output_format == "json" or (output is not None and output.suffix == ".json")
    print_or_write(costs.model_dump_json(indent=1) + "\n" if as_json else _table(costs), output)


def _table(costs: LayerCosts) -> str:
    from edgeq_devices.tables import aligned_table

    rows = [
        [
            f"{'+'.join(map(str, product.rows))}×{product.columns}",
            product.scheme,
            f"{product.nanoseconds / 1000:.1f}",
            "" if product.joules is None else f"{1e6 * product.joules:.1f}",
        ]
        for product in costs.products
    ]
    lines = [
        aligned_table(["product", "scheme", "µs", "µJ"], rows, text_columns=("product", "scheme")),
        f"{costs.device} ({costs.board}), {costs.cpu}, {costs.instruction_set}, {costs.threads} threads, "
        f"{costs.tokens} tokens; median of each product\n",
        *(f"{flag}\n" for flag in costs.flags),
    ]
    return "".join(lines)
