# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from tests.devices.report.samples import evaluation, profile, row, write


def test_a_page_is_written(edgeq, tmp_path):
    write(tmp_path / "profile.json", profile(row()))
    write(tmp_path / "quality.json", evaluation())
    page = tmp_path / "page.html"
    outcome = edgeq("report", tmp_path, "-o", page, "--title", "Boards & models")
    assert outcome.out == f"{page}: 1 measurements, 1 evaluations\n"
    assert "<title>Boards &amp; models</title>" in page.read_text()


def test_rows_are_written_for_llama_bench(edgeq, tmp_path):
    file = write(tmp_path / "profile.json", profile(row()))
    edgeq("report", file, "--format", "llama-bench", "-o", tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text())[0]["n_gen"] == 128


def test_what_profile_writes_is_read(edgeq, tiny_decoder, tmp_path):
    for name in ("one", "two"):
        arguments = ("-p", "8", "-n", "4", "-r", "3", "-t", "1", "--format", "json", "-o", tmp_path / f"{name}.json")
        edgeq("profile", tiny_decoder.directory, *arguments)
    outcome = edgeq("compare", tmp_path / "one.json", tmp_path / "two.json")
    assert outcome.code == 0
    assert [line.split("|")[1].strip() for line in outcome.out.splitlines()[2:4]] == ["pp8", "tg4"]
    records = json.loads(edgeq("compare", tmp_path / "one.json", tmp_path / "two.json", "--json").out)
    assert [(record["test"], record["n_threads"]) for record in records] == [("pp8", 1), ("tg4", 1)]
    assert all(record["ratio"] > 0 and record["verdict"] in outcome.out for record in records)
    flags = [line for line in outcome.out.splitlines() if line.startswith("! ")]
    assert [f"! {flag}" for record in records for flag in record["flags"]] == flags


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "absent.json"), "absent.json: cannot be read"),
        (
            ("report", "{quality}", "--format", "pdf"),
            "--format: unknown format, found 'pdf', wanted html or md or csv or json or llama-bench",
        ),
        (("compare", "{profile}", "{quality}"), "{quality}: not a profile"),
        (("compare", "{profile}", "{other}"), "nothing to compare"),
    ],
)
def test_mistakes_are_named(edgeq, tmp_path, arguments, message):
    paths = {
        "profile": str(write(tmp_path / "profile.json", profile(row()))),
        "other": str(write(tmp_path / "other.json", profile(row(test="pp1")))),
        "quality": str(write(tmp_path / "quality.json", evaluation())),
    }
    outcome = edgeq(*(argument.format(**paths) for argument in arguments))
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith(f"edgeq: error: {message.format(**paths)}")
