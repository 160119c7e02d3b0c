# SPDX-License-Identifier: Apache-2.0
"""Makes a board ready: a virtual environment with ONNX Runtime, the operators for its platform, and a self-test."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_devices.answers import printable, text
from edgeq_devices.board import Board, hashes_of
from edgeq_devices.board_facts import BoardFacts
from edgeq_devices.transports.base import Transport, last_line, run

INSTALL_SECONDS = 1800.0  # a small board compiles bytecode slowly
PACKAGES = ("numpy",)
Step = Callable[[str], None]


@dataclass(frozen=True)
class Ready:
    """A board that passed its self-test.

    Attributes:
        board: The same, running the interpreter of its environment.
        selected: Instruction set that its operators chose.
        available: Those that it can run, from the slowest to the fastest.
        runs: Operator runs that agreed with float64.
    """

    board: Board
    selected: str
    available: tuple[str, ...]
    runs: int


def set_up(transport: Transport, library: Path, python: str | None, offline: bool, step: Step) -> Ready:
    """Sets a board up; what is there already is kept.

    Args:
        transport: The way to it.
        library: Operators for its platform.
        python: Interpreter there: used as it is if it has the libraries, else it makes the environment; by default
            ``python3`` makes one.
        offline: Install from wheels that this machine downloads, without trying the board's network.
        step: Told what is being done.

    Raises:
        EdgeqError: The board cannot be reached, has no usable Python, cannot install, or fails the self-test.
    """
    step("looking at the board")
    board = Board(transport, python, fresh=True)
    if python is None or not _has_libraries(board):
        board = _with_environment(board, offline, step)
    step("sending the operators")
    return _selftest(board, _send_library(board, library), step)


def _with_environment(board: Board, offline: bool, step: Step) -> Board:
    """The board with a virtual environment that has the libraries."""
    transport, environment = board.transport, f"{board.transport.root}/venv"
    step("making the virtual environment")
    has_pip = _make_environment(board, environment)
    try:
        board = Board(transport, f"{environment}/bin/python")
    except EdgeqError:  # one that an upgrade of the board's Python has broken
        has_pip = _make_environment(board, environment, "--clear")
        board = Board(transport, f"{environment}/bin/python")
    if not _has_libraries(board):
        if offline or not has_pip or not _install_from_network(board, environment, step):
            _install_from_wheels(board, environment, step)
        board = Board(transport, f"{environment}/bin/python")
        if not _has_libraries(board):
            raise EdgeqError("onnxruntime cannot be imported on the board", field=board.name)
    return board


def _make_environment(board: Board, directory: str, *more: str) -> bool:
    """Whether it has pip: Debian's Python comes without the module that would install it."""
    for options in ([], ["--without-pip"]):
        command = [board.python, "-m", "venv", *options, *more, directory]
        done = run(board.transport, command, timeout=INSTALL_SECONDS)
        if done.returncode == 0:
            return not options
    reason = last_line((done.stderr or done.stdout).decode(errors="replace"))
    raise EdgeqError("cannot make a virtual environment on the board", field=board.name, found=reason)


def _has_libraries(board: Board) -> bool:
    return {"onnxruntime", "numpy"} <= board.facts.libraries.keys()


def _requirements() -> list[str]:
    """The host's version of ONNX Runtime, so that both ends measure the same."""
    return [f"onnxruntime=={metadata.version('onnxruntime')}", *PACKAGES]


def _install_from_network(board: Board, environment: str, step: Step) -> bool:
    step("installing onnxruntime from the board's network")
    pip = [f"{environment}/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--only-binary=:all:"]
    return run(board.transport, [*pip, *_requirements()], timeout=INSTALL_SECONDS).returncode == 0


def _install_from_wheels(board: Board, environment: str, step: Step) -> None:
    step("downloading wheels for the board")
    with tempfile.TemporaryDirectory() as directory:
        wheels = download_wheels(Path(directory), [*_requirements(), "pip"], board.facts)
        digests = hashes_of(Path(directory), [wheel.name for wheel in wheels])
        step("sending wheels")
        board.send({Path(directory) / name: digest for name, digest in digests.items()})
        there = board.link("wheels", digests)
    step("installing wheels")
    pip = next(name for name in digests if name.startswith("pip-"))
    command = [f"{environment}/bin/python", f"{there}/{pip}/pip", "install", "--no-index", "--find-links", there]
    done = run(board.transport, [*command, *_requirements()], timeout=INSTALL_SECONDS)
    if done.returncode:
        reason = last_line(done.stderr.decode(errors="replace"))
        raise EdgeqError("cannot install onnxruntime on the board", field=board.name, found=reason)
    board.ask("remove", "wheels")


def download_wheels(directory: Path, requirements: Sequence[str], facts: BoardFacts) -> list[Path]:
    """Downloads wheels for a board's platform with pip.

    Args:
        directory: Where to.
        requirements: What to download, with all that it requires.
        facts: What the board says about itself.

    Raises:
        EdgeqError: pip finds no wheels for that platform.
    """
    platforms = wheel_platforms(facts.machine, facts.libc or "unknown")
    major, minor = facts.python.split(".")[:2]
    tag = f"cp{major}{minor}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    command += [word for platform in platforms for word in ("--platform", platform)]
    command += ["--python-version", f"{major}.{minor}", "--implementation", "cp"]
    command += [word for abi in (tag, "abi3", "none") for word in ("--abi", abi)]
    done = subprocess.run([*command, "-d", str(directory), *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EdgeqError(
            "no wheels for the board",
            field=f"{facts.machine}, {facts.libc}, Python {major}.{minor}",
            found=last_line(done.stderr),
            remedy="install onnxruntime there by other means, and give its interpreter with --python",
        )
    return sorted(directory.glob("*.whl"))


def wheel_platforms(machine: str, libc: str) -> list[str]:
    """The wheel tags that a machine with a version of glibc runs, the newest first.

    Raises:
        EdgeqError: It has another C library.
    """
    name, _, version = libc.partition(" ")
    if name != "glibc":
        raise EdgeqError("no wheels for the board's C library", field="libc", found=libc, wanted="glibc")
    newest = int(version.split(".")[1])
    return [*(f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)), f"manylinux2014_{machine}"]


def _send_library(board: Board, library: Path) -> str:
    digest = hashes_of(library.parent, [library.name])[library.name]
    board.send({library: digest})
    return f"{board.link('operators', {'libedgeq_ops.so': digest})}/libedgeq_ops.so"


def _selftest(board: Board, library: str, step: Step) -> Ready:
    step("running the self-test")
    answer = board.ask("selftest", library, timeout=INSTALL_SECONDS)
    outcomes = answer.get("outcomes")
    runs = [run for run in outcomes if isinstance(run, dict)] if isinstance(outcomes, list) else []
    wrong = [
        printable(f"{run.get('name')} ({run.get('tokens')} tokens)") for run in runs if run.get("passed") is not True
    ]
    if wrong or not runs:
        raise EdgeqError(
            "the operators fail their self-test on the board",
            field=board.name,
            found=", ".join(wrong) or "no runs",
            remedy="set EDGEQ_ISA=generic there, and report this",
        )
    available = answer.get("available")
    names = tuple(map(printable, map(str, available))) if isinstance(available, list) else ()
    return Ready(board, text(answer, "selected", board.name), names, len(runs))
