# SPDX-License-Identifier: Apache-2.0
"""The distribution: what it needs, what it pins, and that a board needs no PyTorch."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edgeq.version import __version__

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("edgeq", "export", "custom_ops", "devices", "tests", "benchmarks", "examples")
BOARD_MODULES = (
    "edgeq",
    "edgeq.cli.app",
    "edgeq.formats",
    "edgeq.bundle",
    "edgeq.runtime",
    "edgeq_ops",
    "edgeq_devices",
)
# What `pip install edgeq` leaves out, and so what a board does not have.
ABSENT_ON_BOARD = (
    "torch",
    "transformers",
    "onnx",
    "onnx_ir",
    "onnxscript",
    "safetensors",
    "huggingface_hub",
    "optimum",
)
HIDE = "import sys; sys.modules.update(dict.fromkeys({absent!r})); import {module}"


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _requirements(extras: tuple[str, ...]) -> list[Requirement]:
    project = _project()
    optional = project["optional-dependencies"]
    return [Requirement(text) for text in chain(project["dependencies"], *(optional[extra] for extra in extras))]


@pytest.mark.parametrize("module", BOARD_MODULES)
def test_a_board_needs_no_export_libraries(module: str) -> None:
    code = HIDE.format(absent=ABSENT_ON_BOARD, module=module)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_installed_version_is_the_sources_version() -> None:
    assert importlib.metadata.version("edgeq") == __version__


@pytest.mark.parametrize(
    ("constraints", "extras"),
    [
        ("constraints.txt", ("export", "optimum", "genai", "ssh", "report", "dev")),
        ("constraints-transformers5.txt", ("export", "genai", "ssh", "report", "dev")),
    ],
)
def test_constraints_pin_every_dependency_inside_its_range(constraints: str, extras: tuple[str, ...]) -> None:
    lines = (ROOT / constraints).read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    wrong = [r for r in _requirements(extras) if not r.specifier.contains(pins.get(r.name.lower(), "none"))]
    assert wrong == []


def test_every_source_file_names_its_licence() -> None:
    files = [f for folder in SOURCES for suffix in ("py", "cc", "h") for f in (ROOT / folder).rglob(f"*.{suffix}")]
    assert files
    unlicensed = [
        f for f in files if "SPDX-License-Identifier: Apache-2.0" not in f.read_text()[:200] and f.stat().st_size
    ]
    assert unlicensed == []
