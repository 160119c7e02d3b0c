# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.report.documents import Evaluation, Profile, load_document, load_results
from tests.devices.report.samples import evaluation, profile, row, write


def test_files_and_directories_are_read(tmp_path: Path) -> None:
    write(tmp_path / "a.json", profile(row()))
    (tmp_path / "below").mkdir()
    write(tmp_path / "below/b.json", evaluation())
    results = load_results([tmp_path])
    assert isinstance(load_document(tmp_path / "a.json"), Profile)
    assert isinstance(load_document(tmp_path / "below/b.json"), Evaluation)
    assert (len(results.rows), len(results.evaluations)) == (1, 1)
    assert results.evaluation_of("a" * 64) is results.evaluations[0]
    assert results.evaluation_of("b" * 64) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (profile(row(avg_ts="fast")), r"results\.0\.avg_ts"),
        (profile(row(model_filename="x" * 2000)), r"results\.0\.model_filename"),
        (profile({}), r"results\.0\.model_filename"),
        (profile(row(model_size=10**400)), r"results\.0\.model_size"),
        (profile(row(n_threads=-1)), r"results\.0\.n_threads"),
        (profile(row(cpu_mask=[1 << 70])), r"results\.0\.cpu_mask\.0"),
        ({"results": {}}, "results"),
        ([], "not a result file"),
        ({}, "bundle"),
        (evaluation(quality={"loss": 1}), r"quality\.perplexity"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        load_document(write(tmp_path / "file.json", content))


@pytest.mark.parametrize("text", ["", "hello", '{"results": [NaN]}', "[" * 100_000, "\x00"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(EdgeqError, match="not a result file"):
        load_document(path)


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", profile(row()))
    assert len(load_results([file, tmp_path, file]).rows) == 1


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match="no results"):
        load_results([tmp_path])
    with pytest.raises(EdgeqError, match=r"absent\.json: cannot be read, found No such file"):
        load_results([tmp_path / "absent.json"])
