# SPDX-License-Identifier: Apache-2.0
"""``edgeq report``: measurements and evaluations on one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from edgeq.cli.console import write_file
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq_devices.report.documents import Results

FORMATS = ("html", "md", "csv", "json", "llama-bench")


def command(
    results: Annotated[list[Path], Argument(help="Result files, or directories of them.", show_default=False)],
    output: Annotated[
        Path | None,
        Option("-o", "--output", help="File to write (default: report.html, or stdout).", show_default=False),
    ] = None,
    title: Annotated[str, Option("--title", help="Its title.")] = "edgeq report",
    output_format: Annotated[str, Option("--format", help="html, md, csv, json, or llama-bench (its JSON).")] = "html",
) -> None:
    """Put results of ``profile --format json`` and ``eval --json`` on one self-contained page."""
    from edgeq_devices.report.documents import load_results

    if output_format not in FORMATS:
        raise EdgeqError("unknown format", field="--format", found=repr(output_format), wanted=" or ".join(FORMATS))
    found = load_results(results)
    text = _text(found, title, output_format)
    if output is None and output_format != "html":
        print(text, end="")
        return
    output = output or Path("report.html")
    write_file(output, text.encode())
    print(f"{output}: {len(found.rows)} measurements, {len(found.evaluations)} evaluations")


def _text(results: Results, title: str, output_format: str) -> str:
    from edgeq_devices.report import plain
    from edgeq_devices.report.llama_bench import llama_bench_rows
    from edgeq_devices.report.page import render

    if output_format == "html":
        return render(results, title)
    if output_format == "llama-bench":
        return json.dumps(llama_bench_rows(results), indent=2) + "\n"
    if output_format == "md":
        return plain.markdown(results, title)
    return plain.comma_separated(results) if output_format == "csv" else plain.json_text(results)
