# SPDX-License-Identifier: Apache-2.0
"""``edgeq sweep``: models × schemes × devices, exported, evaluated, measured, and put on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from edgeq.cli.console import progress_bars, stderr


def command(
    recipe: Annotated[Path, Argument(help="What to do, as TOML (docs/measuring.md).", show_default=False)],
    output: Annotated[Path, Option("-o", "--output", help="Directory of bundles and results.", show_default=False)],
    dry_run: Annotated[bool, Option("--dry-run", help="Print what would be done.")] = False,
) -> None:
    """Export, evaluate and profile every combination; what is there already is kept."""
    from edgeq.cli.sweeping import Sweep, read_sweep

    sweep = Sweep(read_sweep(recipe), output)
    if dry_run:
        for step in sweep.steps():
            print(f"{'done' if step.done else 'to do'}  {step.name}")
        return
    with progress_bars() as progress:
        failures = sweep.run(progress)
    for name, error in failures:
        stderr.print(f"edgeq: {name}: {error}", highlight=False, markup=False, soft_wrap=True)
    steps = list(sweep.steps())
    print(f"{sweep.report()}: {sum(step.done for step in steps)} of {len(steps)} steps done")
    if failures:
        raise SystemExit(2)
