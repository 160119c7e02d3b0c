# SPDX-License-Identifier: Apache-2.0
"""Result files as ``edgeq profile`` and ``edgeq eval`` write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def row(**changes: Any) -> dict[str, Any]:
    return {
        "model_filename": "tiny-w4",
        "model_type": "Llama w4g128",
        "model_size": 600 << 20,
        "model_n_params": 1_100_000_000,
        "model_sha256": "a" * 64,
        "bits_per_weight": 4.125,
        "device": "local",
        "board": "raspberry-pi-5",
        "cpu_info": "Cortex-A76",
        "instruction_set": "dotprod",
        "n_threads": 4,
        "cpu_mask": [],
        "test": "tg128",
        "n_prompt": 0,
        "n_gen": 128,
        "n_depth": 0,
        "unit": "tokens/s",
        "avg_ts": 12.0,
        "stddev_ts": 0.1,
        "samples_ts": [11.9, 12.0, 12.1, 12.0, 12.0],
        "tpot_p50_ns": 80e6,
        "tpot_p95_ns": 90e6,
        "tpot_p99_ns": 95e6,
        "load_ns": 100_000_000,
        "peak_anonymous": 90 << 20,
        "peak_file_backed": 600 << 20,
        "energy": None,
        "energy_missing": "no power sensor on this machine",
        "flags": [],
        **changes,
    }


def profile(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "model": {"name": "tiny-w4", "scheme": "w4g128", "kind": "decoder"},
        "device": "local",
        "board": "raspberry-pi-5",
        "conditions": {"cpu": "Cortex-A76", "processors": 4, "versions": {"onnxruntime": "1.31.1"}},
        "results": list(rows),
        **changes,
    }


def evaluation(**changes: Any) -> dict[str, Any]:
    return {
        "bundle": "out/tiny-w4",
        "scheme": "w4g128",
        "model_sha256": "a" * 64,
        "text": "books.txt",
        "quality": {"loss": 3.0, "perplexity": 20.1, "bits_per_byte": 1.1},
        "comparison": {"loss_difference": 0.01, "kl_divergence": 0.02, "top1_agreement": 0.95},
        **changes,
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path
