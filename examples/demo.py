# SPDX-License-Identifier: Apache-2.0
"""The demo: one checkpoint in fp32, at 4 and at 3 bits, through the command line; one table at the end.

Usage: python examples/demo.py [output directory, default out/demo]
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

EXAMPLES = Path(__file__).resolve().parent
MODEL = EXAMPLES / "books-6m"
TEXT = EXAMPLES / "evaluation.txt"
PROMPT = "The old gentleman took up the letter, and"
EDGEQ = Path(sys.executable).with_name("edgeq")
VARIANTS = {"fp32": ["--scheme", "fp32"], "w4": ["--bits", "4"], "w3": ["--bits", "3"]}


@dataclass(frozen=True)
class Row:
    """One bundle: what its profile (``edgeq profile --json``) and its evaluation (``edgeq eval --json``) say."""

    name: str
    profile: dict[str, Any]
    evaluation: dict[str, Any]

    def cells(self) -> list[str]:
        model = self.profile["model"]
        return [
            self.name,
            f"{model['size'] / 1e6:.1f}",
            f"{model['bits_per_weight']:.2f}",
            f"{self.evaluation['quality']['perplexity']:.2f}",
            f"{self.evaluation['comparison']['top1_agreement']:.1%}",
            self._rate("pp512", 2),
            self._rate("tg128", 1),
            self._rate("tg128", 2),
        ]

    def _rate(self, test: str, threads: int) -> str:
        (result,) = [r for r in self.profile["results"] if (r["test"], r["n_threads"]) == (test, threads)]
        return f"{result['avg_ts']:.0f} ± {result['stddev_ts']:.0f}"


def edgeq(*arguments: str | Path, capture: bool = False) -> str:
    """Runs one command and shows it; the command's own error message is on stderr when it fails."""
    command = ["edgeq", *map(str, arguments)]
    print(f"\n$ {shlex.join(command)}", flush=True)
    result = subprocess.run([EDGEQ, *command[1:]], stdout=subprocess.PIPE if capture else None, text=True, check=False)
    if result.returncode:
        sys.exit(result.returncode)
    return result.stdout or ""


def measure(name: str, options: list[str], output: Path) -> Row:
    """Exports one variant, lets it write, evaluates and profiles it."""
    edgeq("export", MODEL, *options, "-o", output, "--force")
    sampling = ("--max-new-tokens", "60", "--temperature", "0.7", "--top-k", "40", "--seed", "1")
    edgeq("run", output, "--prompt", PROMPT, *sampling)
    evaluation = edgeq("eval", output, "--text", TEXT, "--against", MODEL, "--json", capture=True)
    profile = edgeq(
        "profile", output, "-p", "512", "-n", "128", "-r", "5", "-t", "1,2", "--format", "json", capture=True
    )
    return Row(name, json.loads(profile), json.loads(evaluation))


def table(rows: list[Row]) -> Table:
    """Size, quality and speed of the variants."""
    first = rows[0]
    conditions = first.profile["conditions"]
    result = Table(
        title=f"{MODEL.name}: {first.profile['model']['parameters']:,} parameters, {conditions['cpu']}",
        caption="perplexity on examples/evaluation.txt; top-1: same most likely token as PyTorch in fp32;\n"
        "pp512, tg128: tokens/s of a 512-token prompt and of 128 generated tokens, mean ± deviation of 5",
    )
    result.add_column("bundle")
    for heading in ("MB", "bits/weight", "perplexity", "top-1", "pp512 2T", "tg128 1T", "tg128 2T"):
        result.add_column(heading, justify="right")
    for row in rows:
        result.add_row(*row.cells())
    return result


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/demo")
    directory.mkdir(parents=True, exist_ok=True)
    rows = [measure(name, options, directory / f"{MODEL.name}-{name}") for name, options in VARIANTS.items()]
    Console(width=120).print("\n", table(rows))


if __name__ == "__main__":
    main()
