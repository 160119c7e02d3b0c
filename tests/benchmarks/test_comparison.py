# SPDX-License-Identifier: Apache-2.0
"""The benchmarks measure what they say: right products, right rivals, limits that are limits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that gemv.py and gemm.py share; scripts find it beside themselves."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import comparison

    return comparison


@pytest.mark.parametrize("scheme", ["w3g32", "w4-dint", "w2g64-bcq", "w4g128-codebook"])
@pytest.mark.parametrize("layers", [1, 2])
def test_chains_compute_the_product_of_their_weights(
    comparison: ModuleType, tmp_path: Path, scheme: str, layers: int
) -> None:
    from products import SLAB, Case, open_session, weights_of, write_chain

    case, shape = Case("edgeq", scheme), (256, 2 * SLAB)
    write_chain(tmp_path / "chain.onnx", case, shape, layers)
    x = np.random.default_rng(0).standard_normal((3, shape[0]), np.float32)
    y = open_session(tmp_path / "chain.onnx", 1).run(None, {"h0": x})[0]
    wanted, fmt = x.astype(np.float64), case.format
    for layer, (columns, rows) in enumerate([shape, shape[::-1]][:layers]):
        (packed,) = weights_of(case, rows, columns, layer)
        wanted = wanted @ fmt.decode(fmt.unpack(packed, rows, columns)).astype(np.float64).T
    assert np.linalg.norm(y - wanted) < 0.03 * np.linalg.norm(wanted)  # int8 activations or tables


@pytest.mark.parametrize(("operator", "scheme"), [("MatMulNBits", "w4g32"), ("MatMul", "fp32")])
def test_no_two_layers_of_a_rival_are_equal(comparison: ModuleType, operator: str, scheme: str) -> None:
    from products import Case, weights_of

    first, second = (weights_of(Case(operator, scheme), 64, 64, layer)[0] for layer in range(2))
    assert not np.array_equal(first, second)


def test_rivals_are_the_best_of_the_same_bits_and_blocks(comparison: ModuleType) -> None:
    from products import Case

    times = {
        Case("MatMul", "fp32"): 9.0,
        Case("edgeq", "w3g64"): 1.0,
        Case("edgeq", "w2"): 2.0,
        Case("MatMulNBits", "w4g64"): 3.0,
        Case("MatMulNBits", "w2g128"): 5.0,
        Case("MatMulNBits", "w2g128", lookup=True): 4.0,
    }
    rows = [comparison.Row(case, seconds, 1.0) for case, seconds in times.items()]
    assert comparison.rivals(rows[0], rows) == (1.0, None)
    assert comparison.rivals(rows[1], rows) == (9.0, 3.0)
    assert comparison.rivals(rows[2], rows) == (4.5, 2.0)


def test_chains_exceed_the_caches_together(comparison: ModuleType) -> None:
    cases = comparison.cases_of(("w4", "w3-bcq"), (32, 0))
    shape = (4096, 11008)
    sizes = [comparison.layer_count(case, shape, len(cases)) * case.weight_bytes(*shape[::-1]) for case in cases]
    assert sum(sizes) >= comparison.CACHE_MEGABYTES * 2**20
    assert [case.name for case in cases[:3]] == ["MatMul", "edgeq w4g32", "edgeq w3g32-bcq"]


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_limits(comparison: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import roofline

    monkeypatch.setattr(roofline, "SIZES", [16])
    assert roofline.read_once(2, 16) > 0
    assert roofline.multiply_once(2) > 0
    assert b"bits" in roofline.library().roofline_instruction()


def test_engines_know_their_models(comparison: ModuleType, tmp_path: Path) -> None:
    import engines

    assert engines.runtime_of(Path("Q4_0.gguf")) == "llama.cpp"
    (tmp_path / "genai_config.json").touch()
    assert engines.runtime_of(tmp_path) == "genai"
    (tmp_path / "edgeq.json").write_text('{"kind": "encoder"}')
    assert engines.runtime_of(tmp_path) == "edgeq"
    assert engines.is_encoder(tmp_path)
    assert engines.is_encoder(Path(f"{tmp_path}+huge-pages"))
    assert engines.without_option(Path("a/w4+huge-pages")) == engines.without_option(Path("a/w4")) == Path("a/w4")
    with pytest.raises(SystemExit, match="neither a bundle"):
        engines.runtime_of(tmp_path / "absent")
    assert "llama_cpp" not in sys.modules


def test_all_operators_share_the_threads_of_the_process(comparison: ModuleType) -> None:
    script = (
        "import sys, arithmetic, comparison\n"
        "comparison.CACHE_MEGABYTES, comparison.PAUSE = 1, 0\n"
        "comparison.read_once = comparison.multiply_once = lambda threads: 1.0\n"
        "sys.argv += '--layers 1 --hidden 128 --key-value 64 --intermediate 192 --threads 2 --repetitions 1'.split()\n"
        "arithmetic.main()\n"
    )
    directory = str(Path(str(comparison.__file__)).parent)
    run = subprocess.run([sys.executable, "-c", script], cwd=directory, capture_output=True, text=True, check=True)
    assert run.stdout.count("| w4a8g128") == 4
