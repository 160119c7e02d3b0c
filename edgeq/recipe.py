# SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that decides an export, as a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeq.allocation.budget import Budget
from edgeq.errors import EdgeqError
from edgeq.schemes import Scheme

if TYPE_CHECKING:
    from edgeq.quantization.plan import Plan


class Recipe(BaseModel):
    """What `edgeq export` is asked to do.

    Attributes:
        model: Checkpoint directory, ``.onnx`` file or hub id.
        revision: Revision on the hub.
        scheme: Default scheme.
        vocabulary: Scheme of the token embedding and the output head; 8 bits if none is given.
        layers: Scheme by layer pattern, in order; later ones win.
        skip: Patterns of layers kept in float32.
        method: Quantization methods joined by ``+``, such as ``magr+gptq``.
        method_options: Options of the methods by ``METHOD.FIELD``.
        clip: How the range of a group is chosen; by default as the method likes it.
        calibration: Text, JSON lines or token ids that the model is calibrated on.
        samples: Calibration windows.
        length: Tokens per window; by default 512, or the model's context where that is shorter; ``auto``: chosen by
            task lengths, or by error on held-out windows.
        task_lengths: Lengths of what the model will be used for (`edgeq.calibration.task_lengths`).
        seed: What the windows are drawn with.
        sequential: Whether a layer is observed after those before it in its block are quantized.
        portable: Write stock ``MatMulNBits`` nodes instead of edgeq's operators.
        compress: How weights are entropy-coded once more: ``load`` or ``use``, or with a codec, ``use:nibble``.
        kv_cache: How keys and values of past tokens are kept: ``kv8``, ``kv4``, or as floats.
        targets: Platforms whose operator library the bundle holds; this machine's if none is named.
        budget: Limits within which a scheme is chosen for each layer that is not named above.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    scheme: str = "w4g128"
    vocabulary: str | None = None
    layers: dict[str, str] = Field(default_factory=dict)
    skip: list[str] = Field(default_factory=list)
    method: str = "rtn"
    method_options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    clip: Literal["minmax", "mse", "l3"] | None = None
    calibration: str | None = None
    samples: int = 128
    length: int | Literal["auto"] | None = None
    task_lengths: str | None = None
    seed: int = Field(default=0, ge=0)
    sequential: bool = True
    portable: bool = False
    compress: str | None = None
    kv_cache: str | None = None
    targets: list[str] = Field(default_factory=list)
    budget: Budget | None = None

    def plan(self) -> Plan:
        """The quantization plan.

        Raises:
            EdgeqError: A scheme, method or option does not exist.
        """
        from edgeq.quantization.plan import Plan

        default = Scheme.parse(self.scheme)
        vocabulary = Scheme.parse(self.vocabulary) if self.vocabulary else default.for_vocabulary()
        options = self.method_options
        return Plan.build(default, self.layers, self.skip, vocabulary, self.method, self.clip, options)


def build_recipe(file: Path | None = None, **changes: Any) -> Recipe:
    """A recipe from a file, changed by what is given.

    Raises:
        EdgeqError: The file is not a recipe, or a field is missing, unknown or wrong.
    """
    values = {**(_read(file) if file else {}), **{name: value for name, value in changes.items() if value is not None}}
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise EdgeqError(first["msg"], file=file, field=field, found=repr(first["input"])[:80]) from error


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Writes a recipe as TOML.

    Raises:
        EdgeqError: The file cannot be written.
    """
    import tomli_w

    try:
        path.write_text(tomli_w.dumps(recipe.model_dump(exclude_none=True)), encoding="utf-8")
    except OSError as error:
        raise EdgeqError(f"cannot write ({error.strerror})", file=path) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeqError(
            f"cannot read the recipe ({error})", file=path, wanted="a TOML file written by --save-recipe"
        ) from error
