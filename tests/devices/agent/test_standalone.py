# SPDX-License-Identifier: Apache-2.0
"""The one file that profiles on a board by itself, and what the host makes of its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.agent_file import build_agent
from edgeq_devices.report.documents import Profile, load_document
from tests.devices.own_lock import write_site

# What a board does not have; the script must not import any of it.
ABSENT = """import sys
for name in ("pydantic", "torch", "rich", "typer", "tokenizers", "onnx"):
    sys.modules[name] = None
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("board")
    write_site(directory, ABSENT)
    path = directory / "profile.pyz"
    path.write_bytes(build_agent())
    return path


def run(script: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(script.parent), "PYTHONPATH": str(script.parent), **changes}
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False, env=environment
    )


@pytest.fixture(scope="module")
def result(script: Path, tiny_decoder: Any) -> Path:
    options = ["-p", "8", "-n", "4", "-t", "1", "-r", "2", "--no-power", "--name", "bench"]
    done = run(script, "profile", str(tiny_decoder.directory), *options)
    assert done.returncode == 0, done.stderr
    path = script.parent / "result.json"
    path.write_text(done.stdout)
    return path


def changed(result: Path, tmp_path: Path, change: Any) -> Path:
    content = json.loads(result.read_text())
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    return path


def test_its_result_is_a_profile(result: Path) -> None:
    profile = load_document(result)
    assert isinstance(profile, Profile)
    assert (profile.device, profile.model.kind) == ("bench", "decoder")
    assert [(row.test, row.n_threads, len(row.samples_ts)) for row in profile.results] == [
        ("pp8", 1, 2),
        ("tg4", 1, 2),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("board"), "board: not a result file|not a result file"),
        (lambda content: content["board"].update(machine="../x"), "machine: wrong answer"),
        (lambda content: content["measurements"][0]["events"].pop(), "other conditions than"),
        (lambda content: content["measurements"][0]["job"].update(threads="many"), "threads: not a result file"),
        (
            lambda content: content["measurements"][0]["events"][2]["timing"].update(start_ns=1 << 62),
            "times that do not ascend",
        ),
        (lambda content: content.update(measurements=[]), "measurements: not a result file"),
    ],
)
def test_a_damaged_result_is_refused(result: Path, tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        load_document(changed(result, tmp_path, change))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "/absent"), "/absent/edgeq.json: cannot be read, found No such file"),
        (("profile", "{bundle}", "-p", "9000"), "pp9000: the test does not fit the model's context"),
        (("profile", "{bundle}", "--cores", "huge"), "--cores: no such cluster"),
    ],
)
def test_mistakes_are_one_line(script: Path, tiny_decoder: Any, arguments: tuple[str, ...], message: str) -> None:
    done = run(script, *(word.format(bundle=tiny_decoder.directory) for word in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edgeq: error: {message}")
    assert len(done.stderr.splitlines()) == 1


def test_a_changed_bundle_is_refused(script: Path, tiny_decoder: Any, tmp_path: Path) -> None:
    manifest = json.loads((tiny_decoder.directory / "edgeq.json").read_text())
    for name in manifest["files"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((tiny_decoder.directory / name).read_bytes())
    (tmp_path / "edgeq.json").write_text(json.dumps(manifest))
    (tmp_path / "model.onnx").write_bytes(b"x")
    assert "model.onnx: changed since the export" in run(script, "profile", str(tmp_path)).stderr
    manifest["files"] = {"../outside": manifest["files"]["model.onnx"]}
    (tmp_path / "edgeq.json").write_text(json.dumps(manifest))
    assert "wanted one inside" in run(script, "profile", str(tmp_path)).stderr


def test_onnxruntime_reports_to_nobody(script: Path, tiny_decoder: Any, tmp_path: Path) -> None:
    home = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"), str(tmp_path))
    options = ["-p", "8", "-n", "0", "-t", "1", "-r", "1", "--no-power"]
    done = run(script, "profile", str(tiny_decoder.directory), *options, **home)
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written <= {"edgeq"}, "its telemetry leaves an identifier and a session on the board"
