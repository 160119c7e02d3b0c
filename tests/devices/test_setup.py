# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices import setup
from edgeq_devices.board_facts import BoardFacts
from edgeq_devices.setup import download_wheels, set_up, wheel_platforms
from edgeq_devices.transports import LocalTransport
from edgeq_ops import library_path

FACTS = BoardFacts(
    protocol=1,
    system="Linux",
    machine="aarch64",
    program_machine="aarch64",
    model=None,
    cpu=None,
    features=(),
    cores=4,
    clusters={},
    libc="glibc 2.31",
    python="3.11.2",
    libraries={},
    memory=None,
    disk_free=0,
    power=(),
    missing_power=(),
    throttling=(),
    operators=None,
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment that is this one: making a real one takes most of a minute."""

    def make(board: Any, directory: str) -> bool:
        interpreter = Path(directory) / "bin/python"
        interpreter.parent.mkdir(parents=True)
        interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        interpreter.chmod(0o755)
        return True

    monkeypatch.setattr(setup, "_make_environment", make)


def test_a_board_is_made_ready(tmp_path: Path, environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(setup, "_has_libraries", lambda board: board.python.startswith(str(tmp_path)))
    ready = set_up(LocalTransport(tmp_path), library_path(), sys.executable, False, steps.append)
    assert steps[-1] == "running the self-test"
    assert ready.selected in ready.available
    assert ready.runs >= 20
    assert ready.board.python == f"{tmp_path}/venv/bin/python"
    assert ready.board.ask("hello")["operators"] == f"{tmp_path}/bundles/operators/libedgeq_ops.so"


def test_a_broken_environment_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "venv/bin/python"
    interpreter.parent.mkdir(parents=True)
    made: list[tuple[str, ...]] = []

    def make(board: Any, directory: str, *more: str) -> bool:
        made.append(more)
        script = f'#!/bin/sh\nexec {sys.executable} "$@"\n' if more else "#!/bin/sh\nexit 1\n"
        interpreter.write_text(script)
        interpreter.chmod(0o755)
        return True

    monkeypatch.setattr(setup, "_make_environment", make)
    monkeypatch.setattr(setup, "_has_libraries", lambda board: board.python == str(interpreter))
    monkeypatch.setattr(setup, "_selftest", lambda board, library, step: board)
    board: Any = set_up(LocalTransport(tmp_path), library_path(), sys.executable, False, lambda step: None)
    assert made == [(), ("--clear",)]
    assert board.python == str(interpreter)


def test_an_interpreter_that_has_the_libraries_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "_make_environment", lambda *arguments: pytest.fail("not wanted"))
    monkeypatch.setattr(setup, "_selftest", lambda board, library, step: board)
    board: Any = set_up(LocalTransport(tmp_path), library_path(), sys.executable, False, lambda step: None)
    assert board.python == sys.executable


def test_a_library_that_does_not_load_is_refused(tmp_path: Path, environment: None) -> None:
    library = tmp_path / "libedgeq_ops.so"
    library.write_bytes(b"\x7fELF and nothing more")
    with pytest.raises(EdgeqError, match="the operator library cannot be loaded"):
        set_up(LocalTransport(tmp_path / "board"), library, sys.executable, False, lambda step: None)


def test_wheels_go_where_there_is_no_network(
    tmp_path: Path, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(setup, "_has_libraries", lambda board: "sending wheels" in steps)
    monkeypatch.setattr(setup, "_install_from_network", lambda *arguments: False)

    def download(directory: Path, requirements: Sequence[str], facts: BoardFacts) -> list[Path]:
        """A pip that says what it was asked for."""
        pip = directory / "pip-99-py3-none-any.whl"
        code = "import sys; sys.exit(sys.argv[1:4] != ['install', '--no-index', '--find-links'])"
        subprocess.run([sys.executable, "-m", "zipfile", "-c", pip, _source(tmp_path, code)], check=True)
        return [pip]

    monkeypatch.setattr(setup, "download_wheels", download)
    set_up(LocalTransport(tmp_path / "board"), library_path(), sys.executable, False, steps.append)
    assert steps[-2:] == ["sending the operators", "running the self-test"]
    assert not (tmp_path / "board/bundles/wheels").exists()


def _source(directory: Path, code: str) -> Path:
    package = directory / "pip"
    package.mkdir()
    (package / "__main__.py").write_text(code)
    return package


def test_wheels_are_chosen_for_the_boards_c_library() -> None:
    assert wheel_platforms("aarch64", "glibc 2.19") == [
        "manylinux_2_19_aarch64",
        "manylinux_2_18_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    ]
    with pytest.raises(EdgeqError, match=r"no wheels for the board's C library, found musl 1.2, wanted glibc"):
        wheel_platforms("aarch64", "musl 1.2")


def test_a_platform_without_wheels_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def fail(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for onnxruntime")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(EdgeqError, match=r"^aarch64, glibc 2.31, Python 3.11: no wheels .* No matching distribution"):
        download_wheels(tmp_path, ["onnxruntime"], FACTS)
    (command,) = commands
    assert command[command.index("--platform") + 1] == "manylinux_2_31_aarch64"
    assert command[command.index("--python-version") + 1] == "3.11"
