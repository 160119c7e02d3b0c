# SPDX-License-Identifier: Apache-2.0
"""Which distributions each part of edgeq needs; pyproject.toml says the same, and a test compares them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part of edgeq and what it needs.

    Attributes:
        purpose: What can be done with it.
        install: The command that installs it.
        distributions: Names on the package registry.
    """

    purpose: str
    install: str
    distributions: tuple[str, ...]


BASE = Part(
    "running, evaluating and profiling bundles",
    "pip install edgeq",
    ("jinja2", "numpy", "onnxruntime", "pydantic", "rich", "tokenizers", "typer"),
)
EXTRAS = {
    "export": Part(
        "exporting checkpoints and ONNX files",
        "pip install 'edgeq[export]'",
        (
            *("accelerate", "huggingface-hub", "ml-dtypes", "onnx", "onnx-ir", "onnxscript"),
            *("safetensors", "tomli-w", "torch", "transformers"),
        ),
    ),
    "optimum": Part(
        "running bundles in optimum", "pip install 'edgeq[optimum]'", ("optimum", "optimum-onnx", "requests")
    ),
    "genai": Part("running bundles in onnxruntime-genai", "pip install 'edgeq[genai]'", ("onnxruntime-genai",)),
    "cross": Part("building operators for other platforms", "pip install 'edgeq[cross]'", ("cmake", "ziglang")),
    "adb": Part("boards over adb, where the system has none", "pip install 'edgeq[adb]'", ("adbutils",)),
    "report": Part("reports with plots", "pip install 'edgeq[report]'", ("plotly",)),
}
