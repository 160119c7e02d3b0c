# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import pytest

from edgeq.cli.sweeping import Sweep, file_name, read_sweep
from edgeq.errors import EdgeqError

RECIPE = """
models = ["tiny", "broken"]
schemes = ["w4g128", "w3"]

[profile]
n_prompt = [8]
n_gen = [4]
threads = [1]
repetitions = 2
"""


@pytest.fixture
def exports(monkeypatch, tiny_decoder):
    """Exports that copy a bundle; one model cannot be exported."""
    made = []

    def export(self, model, scheme, path, progress):
        made.append((model, scheme))
        if model == "broken":
            raise EdgeqError("no such model", file=model)
        shutil.copytree(tiny_decoder.directory, path)

    monkeypatch.setattr(Sweep, "_export", export)
    return made


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_a_sweep_goes_on_after_a_failure_and_resumes(edgeq, exports, recipe, tmp_path):
    output = tmp_path / "out"
    outcome = edgeq("sweep", recipe, "-o", output)
    assert outcome.code == 2
    assert "export broken-w4g128: broken: no such model" in outcome.err
    results = sorted(path.name for path in (output / "profiles/local").iterdir())
    assert results == ["tiny-w3.json", "tiny-w4g128.json"]
    assert json.loads((output / "profiles/local/tiny-w3.json").read_text())["results"][0]["test"] == "pp8"
    assert "tiny" in (output / "report.html").read_text()
    times = [path.stat().st_mtime_ns for path in (output / "profiles/local").iterdir()]
    exports.clear()
    edgeq("sweep", recipe, "-o", output)
    assert {model for model, _ in exports} == {"broken"}
    assert times == [path.stat().st_mtime_ns for path in (output / "profiles/local").iterdir()]


def test_a_directory_that_cannot_be_made_fails_every_step_in_a_line(edgeq, exports, recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/profiles").write_text("a file")
    outcome = edgeq("sweep", recipe, "-o", tmp_path / "out")
    assert outcome.code == 2
    path = tmp_path / "out/profiles/local"
    assert (
        f"edgeq: profile tiny-w4g128 on local: {path}: cannot write, found Not a directory" in outcome.err.splitlines()
    )


def test_what_a_killed_export_left_is_removed(monkeypatch, recipe, tmp_path):
    (tmp_path / "out/bundles/.tiny-w4g128.partial-0123abcd").mkdir(parents=True)
    monkeypatch.setattr("edgeq.exporting.export_recipe", lambda recipe, path: path.mkdir())
    sweep = Sweep(read_sweep(recipe), tmp_path / "out")
    next(sweep.steps()).make(lambda stage, done, total: None)
    assert [path.name for path in (tmp_path / "out/bundles").iterdir()] == ["tiny-w4g128"]


def test_a_dry_run_lists_the_steps(edgeq, exports, recipe, tmp_path):
    lines = edgeq("sweep", recipe, "-o", tmp_path / "out", "--dry-run").out.splitlines()
    assert len(lines) == 8
    assert lines[0] == "to do  export tiny-w4g128"
    assert lines[-1] == "to do  profile broken-w3 on local"
    assert exports == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = ", "not TOML"),
        ("models = []\nschemes = ['w4']", "models"),
        ("models = ['a']\nschemes = ['w4']\nthread = 1", "thread"),
        ("models = ['a']\nschemes = ['w4']\n[profile]\nthreads = [0]", "profile.threads.0"),
        ("models = ['a']\nschemes = ['w4']\n[profile.power]\n'ssh://b' = 'auto'", "power of ssh://b, which is none"),
    ],
)
def test_wrong_recipes_are_refused(edgeq, tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    outcome = edgeq("sweep", path, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("devices = ['ssh://a board']", "--device: wrong address, found 'ssh://a board'"),
        ("devices = ['local', 'pi@board']", "--device: unknown device, found 'pi@board'"),
        ("[profile.power]\nlocal = 'usb'", "--power: unknown power source, found 'usb'"),
    ],
)
def test_wrong_devices_are_refused_before_anything_is_exported(edgeq, exports, tmp_path, profile, message):
    path = tmp_path / "recipe.toml"
    path.write_text(f"models = ['tiny']\nschemes = ['w4']\n[profile]\n{profile}")
    outcome = edgeq("sweep", path, "-o", tmp_path / "out")
    assert (outcome.code, exports) == (2, [])
    assert message in outcome.err


@pytest.mark.parametrize(
    "lists", ["models = ['a/x', 'b/x']\nschemes = ['w4']", "models = ['a']\nschemes = ['w4', 'w4']"]
)
def test_results_that_would_overwrite_each_other_are_refused(edgeq, tmp_path, lists):
    path = tmp_path / "recipe.toml"
    path.write_text(lists)
    outcome = edgeq("sweep", path, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "two steps of the sweep would write the same file" in outcome.err


def test_file_names_hold_what_every_system_allows():
    assert [file_name(text) for text in ("ssh://pi@board:22", "../..", "w4g128")] == [
        "ssh-pi-board-22",
        "unnamed",
        "w4g128",
    ]
