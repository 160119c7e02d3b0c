# SPDX-License-Identifier: Apache-2.0
"""The ``edgeq`` command: one module per verb, imported when it is used."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from edgeq.errors import EdgeqError

VERBS = {
    "train": "edgeq.cli.train",
    "export": "edgeq.cli.export",
    "compress": "edgeq.cli.compress",
    "run": "edgeq.cli.run",
    "eval": "edgeq.cli.evaluate",
    "profile": "edgeq.cli.profile",
    "sweep": "edgeq.cli.sweep",
    "report": "edgeq.cli.report",
    "compare": "edgeq.cli.compare",
    "devices": "edgeq.cli.devices",
    "inspect": "edgeq.cli.inspect",
    "doctor": "edgeq.cli.doctor",
}
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


class LazyGroup(TyperGroup):
    """Imports a verb's module only when the verb is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs in the order in which a model passes through them."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a verb, or ``None`` if there is none."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(VERBS[cmd_name])
        verb = getattr(module, "app", None)  # a verb with commands of its own
        if verb is None:
            verb = typer.Typer(add_completion=False)
            verb.command(name=cmd_name)(module.command)
        return typer.main.get_command(verb)


app = typer.Typer(
    cls=LazyGroup,
    name="edgeq",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Quantize transformers, export them to ONNX, run and measure them on edge boards.",
)


@app.callback()
def root() -> None:
    """Quantize transformers, export them to ONNX, run and measure them on edge boards."""


def main() -> None:
    """Entry point of the console script; failures a user can mend are one line on stderr and exit code 2."""
    # What is terminated, or loses its terminal, cleans up as what is interrupted does; nohup still protects.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)
    _open_closed_streams()
    try:
        try:
            app(prog_name="edgeq")
        finally:
            sys.stdout.flush()
    except EdgeqError as error:
        print(f"edgeq: error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except SystemExit as ended:  # typer turns an interrupt into this exit, without a word
        if ended.code == EXIT_INTERRUPTED:
            print("edgeq: interrupted", file=sys.stderr)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 -- what it still holds has no place
        print(f"edgeq: error: cannot write the output ({error.strerror})", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def _open_closed_streams() -> None:
    """Puts the null device where the caller closed standard input, output or error, which Python then has not."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 -- open until the process ends


if __name__ == "__main__":
    main()
