# SPDX-License-Identifier: Apache-2.0
"""Which cells are measured, in parts of falling weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args

from edgeq.presets import PRESETS, Settings
from evidence.cells import Cell
from evidence.others import other_cells
from evidence.ranks import rank_cells
from evidence.subjects import DECODERS, ENCODER

Part = Literal["core", "seeds", "tools", "full"]
PARTS: tuple[Part, ...] = get_args(Part)
Methods = Sequence[tuple[str, dict[str, Any]]]
SEEDS = (0, 1, 2)
BITS = (3, 2, 4)
CORE_GROUPS, GROUPS = ("", "g64"), ("", "g64", "g128", "g32")
FULL = DECODERS[:2]  # the models that get the whole grid

# As in MagR's paper, the range of a group is β times its whole range; β and α are searched on calibration.
SEARCHED: Methods = (
    ("gptq", {"gptq.beta": "auto", "gptq.clip": "minmax"}),
    ("magr+gptq", {"gptq.beta": "auto", "gptq.clip": "minmax"}),
    ("rtn", {"rtn.beta": "auto", "rtn.clip": "minmax"}),
    ("magr+rtn", {"rtn.beta": "auto", "rtn.clip": "minmax"}),
    ("gptq", {"gptq.beta": "auto", "gptq.clip": "minmax", "gptq.act_order": True}),
    ("gptq+refit", {"gptq.beta": "auto", "gptq.clip": "minmax"}),
)
DESCENT: Methods = (
    ("gptq+cd", {"gptq.beta": "auto", "gptq.clip": "minmax"}),
    ("magr+gptq+cd", {"gptq.beta": "auto", "gptq.clip": "minmax"}),
)
OTHERS: Methods = (
    ("gptq", {}),
    ("gptq", {"gptq.act_order": True}),
    ("awq+rtn", {}),
    ("awq+gptq", {}),
    ("lwc", {}),
    ("gptq+lorc", {}),
    ("magr+gptq", {"gptq.beta": "auto", "gptq.clip": "minmax", "magr.alpha": 1e-3}),
)
NONUNIFORM = {"bcq": ("bcq",), "codebook": ("codebook", "outliers+codebook")}  # besides gptq and gptq+refit


def cells_of(model: str, parts: Iterable[str] = PARTS) -> list[Cell]:
    """The cells of a model.

    Args:
        model: Its name.
        parts: ``core``: the methods between which the targets decide, on one calibration sample, and the ranks;
            ``seeds``: the same on two more; ``tools``: other tools; ``full``: everything else on one sample.
    """
    makers = {"core": _core, "seeds": _seeds, "tools": _tools, "full": _full}
    cells = [cell for part in parts for cell in makers[part](model)]
    return list(dict.fromkeys(cells))


def preset_cell(model: str, settings: Settings, *, calibrated: bool) -> Cell:
    """The settings of a preset."""
    return _cell(model, settings.scheme, settings.method, dict(settings.options), SEEDS[0] if calibrated else None)


def _presets(model: str) -> Iterator[Cell]:
    for preset in PRESETS.values():
        yield preset_cell(model, preset.data_free, calibrated=False)
        if preset.calibrated != preset.data_free:
            yield preset_cell(model, preset.calibrated, calibrated=True)


def _core(model: str) -> Iterator[Cell]:
    yield from _presets(model)
    yield from rank_cells(model) if model != ENCODER else ()
    for group in CORE_GROUPS:
        for bits in BITS:
            yield _cell(model, f"w{bits}a32{group}-asym", "rtn", {"rtn.clip": "minmax"})
            yield _cell(model, f"w{bits}a32{group}-asym", "rtn", {"rtn.clip": "l3"})
            yield from _searched(model, bits, group, SEEDS[0])


def _seeds(model: str) -> Iterator[Cell]:
    for seed in SEEDS[1:]:
        for group in CORE_GROUPS:
            for bits in BITS:
                yield from _searched(model, bits, group, seed)


def _tools(model: str) -> Iterator[Cell]:
    for seed in SEEDS if model != ENCODER else ():
        yield from other_cells(model, seed, first=seed == SEEDS[0])


def _full(model: str) -> Iterator[Cell]:
    for group in GROUPS if model in FULL else CORE_GROUPS:
        for bits in BITS:
            uniform = f"w{bits}a32{group}-asym"
            yield from (_cell(model, uniform, "rtn", {"rtn.clip": clip}) for clip in ("minmax", "mse", "l3"))
            yield from _searched(model, bits, group, SEEDS[0])
            yield from (_cell(model, uniform, method, options, SEEDS[0]) for method, options in OTHERS)
            # The default scheme of that many bits: symmetric, and with the operators' int8 activations.
            yield _cell(model, f"w{bits}{group}", "rtn")
            yield _cell(model, f"w{bits}{group}", "gptq", {"gptq.act_order": True}, SEEDS[0])
            yield _cell(model, f"w{bits}{group}", "gptq+refit", {"gptq.act_order": True}, SEEDS[0])
            yield _cell(model, f"w{bits}{group}-asym", "gptq", {}, SEEDS[0])
            for name, methods in NONUNIFORM.items():
                scheme = f"w{bits}a32{group}-{name}"
                yield _cell(model, scheme, name)
                calibrated = ("gptq", "gptq+refit", *methods)
                yield from (_cell(model, scheme, method, {}, SEEDS[0]) for method in calibrated)


def _searched(model: str, bits: int, group: str, seed: int) -> Iterator[Cell]:
    for method, options in (*SEARCHED, *(DESCENT if bits == 2 else ())):
        yield _cell(model, f"w{bits}a32{group}-asym", method, options, seed)
    for name in NONUNIFORM:
        for method in ("gptq", "gptq+refit") if bits < 4 else ():
            yield _cell(model, f"w{bits}a32{group}-{name}", method, {}, seed)


def _cell(model: str, scheme: str, method: str, options: dict[str, Any] | None = None, seed: int | None = None) -> Cell:
    return Cell(model, scheme, method, tuple((options or {}).items()), seed)
