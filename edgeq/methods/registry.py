# SPDX-License-Identifier: Apache-2.0
"""The methods by name, and what stage of a pipeline each one is.

What a method's module has to offer, besides its ``Options`` (`edgeq.methods.options.MethodOptions`):

- ``fold``: ``fold(block, options)`` rescales the layers of a `FoldableBlock` without changing its outputs;
- ``split``: ``split(weight, statistics, options) -> (dense weight, sparse)``, the latter kept beside the codes;
- ``transform``: ``transform(weight, statistics, fmt, options) -> weight``, easier to quantize;
- ``solver``: ``quantize(weight, fmt, statistics, options) -> QuantizedTensor``;
- ``refinement``: ``refine(tensor, fmt, target, statistics, options) -> QuantizedTensor``, nearer to the original
  weights ``target`` (what came before the transforms);
- ``correction``: ``correct(original, dequantized, statistics, options)`` returns what is added to the layer's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from edgeq.errors import EdgeqError

Stage = Literal["fold", "split", "transform", "solver", "refinement", "correction"]
STAGES: tuple[Stage, ...] = ("fold", "split", "transform", "solver", "refinement", "correction")
DEFAULT_SOLVER = "rtn"


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        name: As in ``--method``.
        stage: When it acts.
        calibrated: Whether it needs calibration.
        samples: Whether it measures on rows of the inputs themselves, not only on their sums.
        whole_block: Whether the solver has a function ``prepare(block, runner, name, options)``, which changes the
            weights of a `FoldableBlock` before its layers are quantized; nothing else may then change them.
        format: The only format that a solver makes; ``None``: several.
    """

    name: str
    stage: Stage
    calibrated: bool = True
    samples: bool = False
    whole_block: bool = False
    format: str | None = None

    @property
    def module(self) -> Any:
        """Its module, imported now."""
        return import_module(f"edgeq.methods.{self.name}")


_ALL = (
    Method("awq", "fold"),
    Method("smoothquant", "fold"),
    Method("aqas", "fold", samples=True),
    Method("balance", "fold"),
    Method("rtn", "solver", calibrated=False),
    Method("gptq", "solver"),
    Method("lwc", "solver", whole_block=True),
    Method("bcq", "solver", calibrated=False, format="bcq"),
    Method("qat", "solver", calibrated=False),
    Method("codebook", "solver", calibrated=False, format="codebook"),
    Method("ecsq", "solver", calibrated=False, format="uniform"),
    Method("ecgptq", "solver", format="uniform"),
    Method("entquant", "solver", calibrated=False, format="uniform"),
    Method("outliers", "split", calibrated=False),
    Method("magr", "transform"),
    Method("cd", "refinement"),
    Method("refit", "refinement"),
    Method("prune", "refinement"),
    Method("lorc", "correction"),
)
METHODS = {method.name: method for method in _ALL}
_ALONE: dict[Stage, str] = {"fold": "fold scales", "solver": "choose codes"}  # stages with room for one method


def parse_methods(text: str) -> tuple[Method, ...]:
    """The methods of ``magr+gptq``, in the order of their stages; `DEFAULT_SOLVER` where no solver is named.

    Raises:
        EdgeqError: A name is unknown or comes twice, the order is not that of the stages, or there are two solvers.
    """
    names = text.split("+")
    for name in names:
        if name not in METHODS:
            raise EdgeqError(
                "unknown method", field="--method", found=repr(name), wanted=" or ".join(METHODS) + ", joined by +"
            )
    methods = [METHODS[name] for name in names]
    ordered = sorted(methods, key=lambda method: STAGES.index(method.stage))
    if methods != ordered or len(set(names)) < len(names):
        wanted = "+".join(dict.fromkeys(method.name for method in ordered))
        raise EdgeqError("methods out of order", field="--method", found=text, wanted=wanted)
    for stage, task in _ALONE.items():
        rivals = [method.name for method in methods if method.stage == stage]
        if len(rivals) > 1:
            raise EdgeqError(f"two methods that {task}", field="--method", found=text, wanted=" or ".join(rivals))
    solvers = [method.name for method in methods if method.stage == "solver"]
    between = [m.name for m in methods if m.stage not in ("fold", "solver", "correction")]
    if between and any(method.whole_block for method in methods):
        raise EdgeqError(
            f"{solvers[0]} learns from the original weights",
            field="--method",
            found=text,
            remedy=f"leave out {between[0]}",
        )
    if not solvers:
        methods.append(METHODS[DEFAULT_SOLVER])
    return tuple(sorted(methods, key=lambda method: STAGES.index(method.stage)))
