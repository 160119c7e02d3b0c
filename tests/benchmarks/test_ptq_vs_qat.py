# SPDX-License-Identifier: Apache-2.0
"""The tables of benchmarks/ptq_vs_qat.py say what the records say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from evidence.results import Record
from trained.tables import sections
from trained.variants import MODELS, Variant, training_settings, variants

MODEL = "books-6m"


def record(variant: Variant, loss: float, bits: float) -> Record:
    result = {
        "weights": 1000, "weight_bytes": int(bits * 125), "loss_difference": loss, "standard_error": 0.001,
        "perplexity": 60.0, "kl_divergence": 0.1,
    }  # fmt: skip
    return Record(variant.cell(MODEL), result, {})


def records(**losses: float) -> list[Record]:
    """One per variant of a method and bits such as ``qat3``, and full precision."""
    chosen = [
        (v, losses.get(f"{v.method.replace('+', '_')}{v.bits}"))
        for v in variants()
        if dict(v.options).get("gamma") != "off"
    ]
    return [record(v, 0.0 if v.bits == 32 else loss, v.bits) for v, loss in chosen if loss is not None or v.bits == 32]  # type: ignore[arg-type]


def test_targets() -> None:
    found = sections(
        records(qat4=0.05, qat3=0.02, gptq3=0.03, gptq_refit3=0.01, qat2=0.2, rtn2=0.3, rtn8=0.002), Path("none")
    )
    lines = {line.split(" | ")[1]: line for line in found["targets"].splitlines()[2:]}
    assert lines["QAT at 4 bits within 6 % of fp32, 68 % smaller"].endswith(
        "+5.1 %, 88 % less than fp32, 75 % than fp16 | yes |"
    )
    assert "+0.0200 against +0.0100 (gptq+refit)" in lines["QAT better than the best PTQ at 3 bits"]
    assert lines["QAT better than the best PTQ at 3 bits"].endswith("| no |")
    assert lines["QAT better than the best PTQ at 2 bits"].endswith("| yes |")
    assert lines["PTQ at 8 bits within 1 %"].endswith("+0.20 % | yes |")


def test_quality() -> None:
    table = sections(records(qat4=0.05), Path("none"))[f"quality {MODEL}"].splitlines()
    assert table[2].startswith("| fp32 | fp32 | 0.00 | +0 % | +100 % | 60.00 | +0.0 %")
    assert "QAT, γ trained, 150 steps" in table[3]
    assert "-88 % | -75 %" in table[3]
    assert sections([], Path("none"))[f"quality {MODEL}"] == "Not measured yet."


def test_every_variant_is_one_cell_and_every_training_valid() -> None:
    for model in MODELS:
        keys = [variant.cell(model).key for variant in variants()]
        assert len(set(keys)) == len(keys)
        for variant in variants():
            if variant.method == "qat":
                training_settings(model, variant.bits, str(dict(variant.options)["gamma"]))
