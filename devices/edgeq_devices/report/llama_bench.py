# SPDX-License-Identifier: Apache-2.0
"""Rows as ``llama-bench -o json`` writes them, so that tools that read those read these."""

from __future__ import annotations

from typing import Any

from edgeq_devices.report.documents import Results, Row


def llama_bench_rows(results: Results) -> list[dict[str, Any]]:
    """The fields that have the same meaning in both; flagged rows are left out."""
    return [_row(row) for row in results.rows if not row.flags]


def _row(row: Row) -> dict[str, Any]:
    work = row.n_prompt + row.n_gen if row.unit == "tokens/s" else 1
    nanoseconds = [1e9 * work / rate for rate in row.samples_ts]
    return {
        "cpu_info": row.cpu_info or "unknown",
        "backends": f"edgeq {row.instruction_set or 'onnxruntime'}",
        "model_filename": row.model_filename,
        "model_type": row.model_type,
        "model_size": row.model_size,
        "model_n_params": row.model_n_params,
        "n_threads": row.n_threads,
        "n_prompt": row.n_prompt,
        "n_gen": row.n_gen,
        "n_depth": row.n_depth,
        "avg_ts": row.avg_ts,
        "stddev_ts": row.stddev_ts,
        "samples_ns": [round(sample) for sample in nanoseconds],
        "samples_ts": row.samples_ts,
    }
