# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edgeq.errors import EdgeqError
from edgeq_export.output_directory import check_output, new_directory


def tree(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def write(output: Path, text: str = "new", *, force: bool = False) -> None:
    with new_directory(output, force=force) as directory:
        (directory / "lib").mkdir()
        (directory / "lib" / "file").write_text(text)


@pytest.mark.parametrize("name", ["out", "several/levels/out"])
def test_appears_when_whole(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    with new_directory(output) as directory:
        (directory / "file").write_text("new")
        assert not output.exists()
    assert tree(output) == ["file"]
    assert tree(output.parent) == ["out", "out/file"]


def test_takes_the_place_of_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out")
    assert tree(tmp_path) == ["out", "out/lib", "out/lib/file"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ValueError("x"), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("name", ["out", "several/levels/out"])
def test_leaves_nothing_behind(tmp_path: Path, failure: BaseException, name: str) -> None:
    with pytest.raises((type(failure), EdgeqError)), new_directory(tmp_path / name) as directory:  # noqa: PT012
        (directory / "file").write_text("half")
        raise failure
    assert tree(tmp_path) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="disk full"), new_directory(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_refuses_a_directory_that_holds_something(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    for attempt in (lambda: check_output(tmp_path / "out"), lambda: write(tmp_path / "out")):
        with pytest.raises(EdgeqError, match=r"output directory not empty.*--force"):
            attempt()
    assert (tmp_path / "out/lib/file").read_text() == "old"


def test_force_replaces_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    (tmp_path / "out" / "stray").touch()
    write(tmp_path / "out", "new", force=True)
    assert tree(tmp_path) == ["out", "out/lib", "out/lib/file"]
    assert (tmp_path / "out/lib/file").read_text() == "new"


def test_force_keeps_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    with pytest.raises(KeyboardInterrupt), new_directory(tmp_path / "out", force=True):
        raise KeyboardInterrupt
    assert tree(tmp_path) == ["out", "out/lib", "out/lib/file"]
    assert (tmp_path / "out/lib/file").read_text() == "old"


def test_refuses_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(EdgeqError, match="wanted a directory or nothing"):
        check_output(tmp_path / "out", force=True)


def test_refuses_a_mount_point_which_nothing_can_take_the_place_of() -> None:
    with pytest.raises(EdgeqError, match="found a mount point, wanted a directory inside it"):
        check_output(Path("/"), force=True)


def test_refuses_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeqError, match="cannot write here"):
        check_output(tmp_path / "file" / "out")
