# SPDX-License-Identifier: Apache-2.0
"""Time and energy of matrix products by shape and scheme, measured on a board by ``edgeq profile --layers``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeq.errors import EdgeqError

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProductCost(_Strict):
    """Products of one input with up to three matrices in one operator.

    Attributes:
        rows: Outputs of each matrix.
        columns: Inputs.
        scheme: Of all of them.
        nanoseconds: Of one run.
        joules: Of one run: its share of the run's energy, by time; ``None`` without a meter.
    """

    rows: tuple[Count, ...]
    columns: Count
    scheme: str
    nanoseconds: Amount
    joules: Amount | None = None


class LayerCosts(_Strict):
    """What a board takes.

    Attributes:
        device: As ``--device`` names it.
        board: Name of its description.
        cpu: As it calls itself.
        instruction_set: That the kernels use.
        threads: Threads.
        tokens: Of one run: 1 for a decoder that generates, the length of the sentence for an encoder.
        flags: Reasons to distrust the figures.
        products: The products.
    """

    device: str
    board: str
    cpu: str | None = None
    instruction_set: str | None = None
    threads: Count
    tokens: Count
    flags: list[str] = []
    products: list[ProductCost]

    def find(self, rows: Iterable[int], columns: int, scheme: str) -> ProductCost:
        """The cost of a product, or of its matrices one by one where it was not measured as a whole.

        Raises:
            EdgeqError: It was not measured.
        """
        shape = tuple(rows)
        for product in self.products:
            if (product.rows, product.columns, product.scheme) == (shape, columns, scheme):
                return product
        if len(shape) == 1:
            raise EdgeqError(
                "not measured",
                field="--layer-costs",
                found=f"no {shape[0]}×{columns} as {scheme}",
                remedy="repeat edgeq profile --layers with the same --candidates and --vocabulary",
            )
        parts = [self.find([count], columns, scheme) for count in shape]
        joules = [part.joules for part in parts if part.joules is not None]
        return ProductCost(
            rows=shape,
            columns=columns,
            scheme=scheme,
            nanoseconds=sum(part.nanoseconds for part in parts),
            joules=sum(joules) if len(joules) == len(parts) else None,
        )


def read_layer_costs(path: Path) -> LayerCosts:
    """Reads what ``edgeq profile --layers`` wrote.

    Raises:
        EdgeqError: The file cannot be read or is something else.
    """
    try:
        return LayerCosts.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EdgeqError(f"cannot read ({error.strerror})", file=path, field="--layer-costs") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise EdgeqError(first["msg"], file=path, field=field, wanted="a file from edgeq profile --layers") from error
