# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json

import pytest

from tests.devices.processes import PATIENCE
from tests.devices.trace_format import read_trace
from tests.tiny_decoder import write_records

QUICK = ("-p", "8", "-n", "4", "-r", "2", "-t", "1")
THREADS_AND_DEPTHS = ("-p", "0", "-n", "4", "-r", "2", "-t", "1,2", "-d", "0,16")


def test_markdown_by_default(edgeq, tiny_decoder):
    outcome = edgeq("profile", tiny_decoder.directory, *QUICK)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith("| model  |")
    assert [line.split("|")[7].strip() for line in lines[2:4]] == ["pp8", "tg4"]
    assert "2 repetitions" in lines[-1]
    assert any(line.startswith("energy: ") for line in lines)
    assert "pp8, 1 thread" in outcome.err


def test_json_has_a_row_per_depth_test_and_threads(edgeq, tiny_decoder):
    outcome = edgeq("profile", tiny_decoder.directory, *THREADS_AND_DEPTHS, "--format", "json")
    document = json.loads(outcome.out)
    rows = document["results"]
    tests = ["tg4", "tg4 @ d16"]
    assert [(row["n_threads"], row["test"]) for row in rows] == [(n, test) for n in (1, 2) for test in tests]
    for row in rows:
        assert len(row["samples_ns"]) == 2
        assert row["avg_ts"] == pytest.approx(sum(row["samples_ts"]) / 2)
        assert 0 < row["load_ns"] < 60e9
        assert row["peak_anonymous"] > 1 << 20
        assert row["peak_file_backed"] > 1 << 20
        assert row["peak_resident"] >= row["peak_anonymous"]
        assert row["instruction_set"] is None
    assert document["model"]["kind"] == "decoder"
    assert document["conditions"]["versions"]["onnxruntime"]


def test_no_warmup_is_recorded_in_a_file(edgeq, tiny_decoder, tmp_path):
    output = tmp_path / "result.csv"
    arguments = ("-p", "8", "-n", "0", "-r", "1", "-t", "1", "--no-warmup", "--format", "csv", "-o", output)
    assert edgeq("profile", tiny_decoder.directory, *arguments).out == ""
    (row,) = csv.DictReader(io.StringIO(output.read_text()))
    assert (row["warmup"], row["test"], row["stddev_ts"]) == ("False", "pp8", "0.0")


def test_rows_that_cannot_be_written_are_printed(edgeq, tiny_decoder, tmp_path):
    (tmp_path / "result.md").mkdir()
    outcome = edgeq("profile", tiny_decoder.directory, *QUICK, "-o", tmp_path / "result.md")
    assert (outcome.code, outcome.out.splitlines()[2].split("|")[7].strip()) == (2, "pp8")
    assert outcome.err.splitlines()[-1].endswith("result.md: cannot write, found Is a directory")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "60", "-d", "5"), "pp60 @ d5: the test does not fit the model's context, found 65 tokens, wanted at"),
        (("-p", "0", "-n", "0"), "-p and -n: nothing to measure"),
        (("-p", "many"), "-p: not a list of numbers, found 'many'"),
        (("-p", "8", "-n", "4", "-t", "0"), "threads: invalid number of threads, found 0"),
        (("-p", "8", "-n", "4", "-t", "99999"), "threads: invalid number of threads, found 99999, wanted 1 to 1024"),
        (("--format", "yaml"), "--format: unknown format, found 'yaml', wanted md or csv or json"),
        (("-o", "/no/such/directory/x"), "/no/such/directory: --output: no such directory"),
        (("--trace", "/no/such/directory/x"), "/no/such/directory: --trace: no such directory"),
    ],
)
def test_bad_options_are_refused_before_anything_is_measured(edgeq, tiny_decoder, arguments, message):
    outcome = edgeq("profile", tiny_decoder.directory, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1].startswith(f"edgeq: error: {message}")


def test_no_bundle(edgeq, tmp_path):
    outcome = edgeq("profile", tmp_path / "absent")
    assert outcome.code == 2
    assert "no such bundle" in outcome.err


def test_a_graph_cannot_be_profiled(edgeq, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"")
    write_records(tmp_path, kind="graph")
    outcome = edgeq("profile", tmp_path)
    assert outcome.code == 2
    assert "kind: cannot be profiled, found graph, wanted decoder or encoder" in outcome.err


def test_a_sustained_run_is_recorded_over_time(edgeq, tiny_decoder):
    arguments = ("-p", "0", "-n", "4", "-r", "1", "-t", "1", "--sustain", "2s", "--format", "json")
    (row,) = json.loads(edgeq("profile", tiny_decoder.directory, *arguments).out)["results"]
    sustained = row["sustained"]
    assert len(row["samples_ns"]) == len(sustained["ts"]) > 2
    assert 0.5 < sustained["seconds"][-1] < PATIENCE
    assert sustained["seconds"] == sorted(sustained["seconds"])
    assert len(sustained["machine_seconds"]) == len(sustained["temperature"]) >= 2


def test_operators_are_timed_and_traced(edgeq, tiny_decoder, tmp_path):
    trace = tmp_path / "trace.json"
    arguments = ("-p", "8", "-n", "4", "-r", "2", "-t", "1", "--trace", trace)
    outcome = edgeq("profile", tiny_decoder.directory, *arguments)
    lines = [line for line in outcome.out.splitlines() if line.startswith("| GroupQueryAttention")]
    # Two layers; a prompt runs once in each repetition and to warm up, a token four times in each and once to warm up.
    # The first call of each node does not count.
    assert [[cell.strip() for cell in line.split("|")[2:4]] for line in lines] == [["2", "4"], ["2", "16"]]
    events = read_trace(trace.read_bytes())
    assert any(event["args"].get("op_name") == "GroupQueryAttention" for event in events)
    assert json.loads(trace.read_text())[0]["args"]["name"] == f"{tiny_decoder.directory.name}, tg4, 1 thread"


def test_operator_times_are_in_the_json(edgeq, tiny_decoder):
    arguments = ("-p", "8", "-n", "0", "-r", "2", "-t", "1", "--operators", "--format", "json")
    (row,) = json.loads(edgeq("profile", tiny_decoder.directory, *arguments).out)["results"]
    assert {node["op"] for node in row["operators"]} >= {"GroupQueryAttention", "MatMul"}
    assert all(node["calls"] == 2 for node in row["operators"])
