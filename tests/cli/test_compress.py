# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from edgeq_export.compression import measuring
from tests.export.compression.graphs import write_graph


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cli") / "bundle"
    write_graph(directory)
    return directory


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(measuring, "SECONDS", 1e-3)
    monkeypatch.setattr(measuring, "WORKING_SET", 1 << 16)


def test_decoding_at_load_is_the_default(edgeq, bundle, tmp_path):
    outcome = edgeq("compress", bundle, "-o", tmp_path / "out")
    assert outcome.code == 0
    assert "times smaller" in outcome.out
    assert "odd.weight.data" in outcome.out  # no codec takes codebooks
    shown = edgeq("inspect", tmp_path / "out", "--layers").out
    assert "4 rans load of 5 matrices" in shown
    assert "| entropy |" in shown


def test_what_would_not_be_smaller_is_listed(edgeq, tmp_path):
    write_graph(tmp_path / "wide", deviation=40.0)
    arguments = ("compress", tmp_path / "wide", "--mode", "use", "--codec", "nibble", "-o", tmp_path / "out")
    found = "no smaller when compressed: head.weight.data, up.weight.data, gate.weight.data\n"
    assert found in edgeq(*arguments).out
    described = json.loads(edgeq(*arguments, "--force", "--json").out)
    assert described["not_smaller"] == ["head.weight.data", "up.weight.data", "gate.weight.data"]
    assert described["stored"] == described["raw"]


def test_a_limit_asks_for_measurements(edgeq, bundle, tmp_path, quick):
    outcome = edgeq("compress", bundle, "-o", tmp_path / "out", "--max-memory", "1GB", "-t", 1)
    assert outcome.code == 0
    assert "Predicted: " in outcome.out
    assert "head and 0 like it" in outcome.out


def test_a_dry_run_writes_nothing(edgeq, bundle, tmp_path, quick):
    outcome = edgeq("compress", bundle, "--dry-run", "--max-slowdown", "1e9", "-t", 1, "--json")
    choice = json.loads(outcome.out)["choice"]
    assert choice["memory"] < choice["raw_memory"]
    assert {form for unit in choice["units"] for form in unit["forms"]} == {"raw", "rans", "nibble"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), "no output directory"),
        (("-o", "OUT", "--mode", "always"), "unknown mode"),
        (("-o", "OUT", "--codec", "zip"), "unknown codec"),
        (("-o", "OUT", "--mode", "use", "--max-memory", "1MB"), "--mode auto only"),
        (("-o", "OUT", "--max-memory", "1kB"), "do not fit"),
        (("-o", "OUT", "--max-slowdown", "0.9"), "wrong slowdown"),
        (("-o", "OUT", "--max-memory", "much"), "not a size"),
    ],
)
def test_mistakes_are_one_line(edgeq, bundle, tmp_path, quick, arguments, found):
    outcome = edgeq("compress", bundle, *(tmp_path / "o" if text == "OUT" else text for text in arguments))
    assert outcome.code == 2
    assert found in outcome.err
    assert not (tmp_path / "o").exists()


def test_a_bundle_without_packed_weights_is_refused(edgeq, tiny_decoder, tmp_path):
    outcome = edgeq("compress", tiny_decoder.directory, "-o", tmp_path / "o")
    assert outcome.code == 2
    assert "nothing to compress" in outcome.err
