# SPDX-License-Identifier: Apache-2.0
"""When MagR helps: the rank of the inputs of real layers, and a real layer whose inputs are given a lower rank."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgeq.calibration.statistics import LayerStatistics
from edgeq.methods.magr import rank_fraction
from edgeq.methods.pipeline import Pipeline, output_errors
from edgeq.schemes import Scheme
from evidence.cells import Cell
from evidence.markdown import table
from evidence.others import Grams, collect_grams
from evidence.quality import DecoderQuality
from evidence.results import Record
from evidence.samples import calibration_data
from evidence.subjects import Subject

TOLERANCES = (1e-2, 1e-3)
LAYER = "model.layers.3.mlp.down_proj"
FLOOR = 1e-3  # of the largest singular value: what the others are lowered to
METHODS = ("rtn", "magr+rtn", "gptq", "magr+gptq")
SHARES = (1.0, 0.5, 0.25, 0.1)


def rank_cells(model: str) -> list[Cell]:
    """The rank of every layer's inputs; errors of one layer as the rank falls, where `LAYER` is wide enough."""
    cells = [Cell(model, "fp32", "ranks", (), 0)]
    if model != "books-6m":
        return cells
    return cells + [
        Cell(model, f"w{bits}-asym", method, (("layer", LAYER), ("rank", share)), 0)
        for bits in (3, 2)
        for method in METHODS
        for share in SHARES
    ]


class Ranks:
    """Measures rank cells.

    Args:
        subject: A decoder.
        quality: Holds its original.
    """

    def __init__(self, subject: Subject, quality: DecoderQuality) -> None:
        self._subject, self._model = subject, quality.original_model
        self._grams: Grams | None = None

    def run(self, cell: Cell) -> dict[str, Any]:
        """As the cell asks."""
        if self._grams is None:
            self._grams = collect_grams(self._model, torch.from_numpy(calibration_data(self._subject, 0).ids))
        options = dict(cell.options)
        if not options:
            return _rank_summary(self._grams)
        gram = lower_rank(torch.from_numpy(self._grams[options["layer"]]), options["rank"])
        weight = self._model.get_submodule(options["layer"]).weight.detach()
        return {"relative_error": layer_error(weight, gram, cell.scheme, cell.method)}


def lower_rank(gram: Tensor, share: float) -> Tensor:
    """XᵀX with all but a share of its singular values lowered to `FLOOR` of the largest."""
    values, vectors = torch.linalg.eigh(gram)
    kept = round(share * len(values))
    values[: len(values) - kept].clamp_(max=float(values[-1]) * FLOOR**2)
    return (vectors * values) @ vectors.T


def layer_error(weight: Tensor, gram: Tensor, scheme: str, method: str) -> float:
    """‖X(W − Ŵ)‖² / ‖XW‖² of a layer; ranges and α are searched."""
    fmt = Scheme.parse(scheme).weights
    assert fmt is not None
    root = gram.diagonal().sqrt().float()
    statistics_ = LayerStatistics(gram, 4096, 3 * root, root)
    solver = method.rpartition("+")[2]
    tensor = Pipeline.parse(method, {f"{solver}.beta": "auto"}).quantize(weight, fmt, statistics_).tensor
    errors = output_errors(tensor, fmt, weight, statistics_)
    return float(errors.sum() / ((weight.double() @ gram) * weight).sum())


def rank_table(records: Sequence[Record]) -> str:
    """Mean and smallest rank fraction by kind of layer."""
    lines = []
    for record in records:
        if record.cell.method != "ranks":
            continue
        for kind, (coarse, fine) in record.result["kinds"].items():
            lines.append([record.cell.model, kind, f"{coarse:.0f} %", f"{fine:.0f} %"])
    header = [f"singular values above {tolerance:g} of the largest" for tolerance in TOLERANCES]
    return table(["model", "inputs of", *header], lines)


def constructed_table(records: Sequence[Record]) -> str:
    """Errors of one layer by rank and method."""
    found = {record.cell: record.result["relative_error"] for record in records if "relative_error" in record.result}
    lines = []
    for scheme in dict.fromkeys(cell.scheme for cell in found):
        for share in SHARES:
            by_method = {
                c.method: e for c, e in found.items() if c.scheme == scheme and dict(c.options)["rank"] == share
            }
            if all(method in by_method for method in METHODS):
                errors = [f"{100 * by_method[method]:.2f} %" for method in METHODS]
                ratios = [by_method["magr+rtn"] / by_method["rtn"], by_method["magr+gptq"] / by_method["gptq"]]
                lines.append([scheme, f"{100 * share:.0f} %", *errors, *(f"{ratio:.2f}" for ratio in ratios)])
    return table(["scheme", "rank", *METHODS, "magr+rtn / rtn", "magr+gptq / gptq"], lines)


def _rank_summary(grams: Grams) -> dict[str, Any]:
    kinds: dict[str, list[str]] = {}
    for name in grams:
        kinds.setdefault(name.rpartition(".")[2], []).append(name)
    means = {
        kind: [
            100 * statistics.fmean(rank_fraction(torch.from_numpy(grams[name]), tolerance) for name in names)
            for tolerance in TOLERANCES
        ]
        for kind, names in kinds.items()
        if kind not in ("k_proj", "v_proj", "up_proj")  # they read what q_proj and gate_proj read
    }
    return {"kinds": means}
