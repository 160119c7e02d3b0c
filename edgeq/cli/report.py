# SPDX-License-Identifier: Apache-2.0
"""``edgeq report``: measurements and evaluations on one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from edgeq.errors import EdgeqError

FORMATS = ("html", "llama-bench")


def command(
    results: Annotated[list[Path], Argument(help="Result files, or directories of them.", show_default=False)],
    output: Annotated[Path, Option("-o", "--output", help="The page to write.")] = Path("report.html"),
    title: Annotated[str, Option("--title", help="Its title.")] = "edgeq report",
    output_format: Annotated[str, Option("--format", help="html, or llama-bench (its JSON).")] = "html",
) -> None:
    """Put results of ``profile --format json`` and ``eval --json`` on one self-contained page."""
    from edgeq_devices.report.documents import load_results
    from edgeq_devices.report.llama_bench import llama_bench_rows
    from edgeq_devices.report.page import render

    if output_format not in FORMATS:
        raise EdgeqError("unknown format", field="--format", found=repr(output_format), wanted=" or ".join(FORMATS))
    found = load_results(results)
    html = output_format == "html"
    text = render(found, title) if html else json.dumps(llama_bench_rows(found), indent=2) + "\n"
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EdgeqError("cannot write", file=output, found=error.strerror) from error
    print(f"{output}: {len(found.rows)} measurements, {len(found.evaluations)} evaluations")
