# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeq_devices.agent.lock import BusyError, hold

HOLDER = """
import sys, time
from pathlib import Path
from edgeq_devices.agent.lock import hold
with hold(Path(sys.argv[1]), "eve@laptop"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_was_first_and_since_when(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=r"^eve@laptop has been measuring on this board for \d+ s$"),
            hold(path, "me"),
        ):
            pass
        first.kill()
    with hold(path, "me"):  # the kernel has released it
        assert "me" in path.read_text()
    assert path.read_text() == ""


def test_a_board_that_sets_its_clock_meanwhile_tells_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold(tmp_path / "lock", "eve@laptop"):
        monkeypatch.setattr("time.time", lambda: 0.0)
        with pytest.raises(BusyError, match=r"for 0 s$"), hold(tmp_path / "lock", "me"):
            pass


def test_a_lock_file_without_meaning_still_locks(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, "me"):
        path.write_text("garbage")
        with pytest.raises(BusyError, match="another measurement runs"), hold(path, "you"):
            pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"), hold(tmp_path / "lock", "me"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"
