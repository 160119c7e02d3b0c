# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import pytest

from edgeq.cli import inspect
from tests.tiny_decoder import write_records

FIELDS = ("name", "operators", "scheme", "rows", "columns", "size")
LAYERS = [
    dict(zip(FIELDS, values, strict=True))
    for values in (
        ("embed", ["QuantGather", "DintGemm"], "w4g128", 300, 32, 5440),
        ("q0", ["DintGemm"], "w4g128", 32, 32, 576),
        ("o0", ["LutGemm"], "w3-bcq", 32, 32, 1280),
    )
]


@pytest.fixture(scope="module")
def bundle(tiny_decoder, tmp_path_factory):
    """The tiny decoder with a manifest that says it is quantized."""
    directory = tmp_path_factory.mktemp("inspected") / "bundle"
    shutil.copytree(tiny_decoder.directory, directory)
    write_records(directory, layers=LAYERS, scheme="w4g128", method="rtn(mse)", versions={"torch": "2.13.0"})
    return directory


def table(out, first):
    """The cells of the rows below the header that begins with ``first``."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} "))
    rows = []
    for line in lines[start + 2 :]:
        if not line:
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_summary(edgeq, bundle):
    outcome = edgeq("inspect", bundle)
    assert (outcome.code, outcome.err) == (0, "")
    lines = dict(line.split("  ", 1) for line in outcome.out.split("\n\n")[0].splitlines())
    assert lines["scheme"].strip() == "w4g128, rtn(mse)"
    assert lines["stored"].strip().startswith("5.011 bits per weight; bundle ")
    assert lines["exported by"].strip() == "edgeq 0.1.0, torch 2.13.0"
    assert lines["integrity"].strip() == "sizes as recorded; --verify compares the hashes"


def test_schemes_are_added_up(edgeq, bundle):
    assert table(edgeq("inspect", bundle).out, "scheme") == [
        ["w4g128", "2", "10,624", "6.02 kB", "4.530"],
        ["w3-bcq", "1", "1,024", "1.28 kB", "10.000"],
    ]


def test_operators_are_counted_in_the_graph(edgeq, bundle):
    counts = dict(table(edgeq("inspect", bundle).out, "operator"))
    assert (counts["MatMul"], counts["com.microsoft.GroupQueryAttention"]) == ("9", "2")


def test_without_onnx_ir_the_operators_are_not_counted_and_it_says_so(edgeq, bundle, monkeypatch):
    monkeypatch.setattr(inspect, "find_spec", lambda name: None)
    outcome = edgeq("inspect", bundle)
    assert outcome.code == 0
    assert "Operators of the graph not counted: needs the onnx-ir package" in outcome.out
    assert "| operator " not in outcome.out


def test_layers_only_when_asked_for(edgeq, bundle):
    assert "embed" not in edgeq("inspect", bundle).out
    rows = table(edgeq("inspect", bundle, "--layers").out, "layer")
    assert rows[0] == ["embed", "QuantGather DintGemm", "w4g128", "300×32", "5.44 kB", "4.533"]
    assert len(rows) == 3


def test_corrections_have_a_column_where_there_are_any(edgeq, bundle, tmp_path):
    corrected = tmp_path / "bundle"
    shutil.copytree(bundle, corrected)
    corrections = [{"kind": "sparse", "size": 5012, "entries": 1220}, {"kind": "low_rank", "size": 1024, "rank": 8}]
    write_records(corrected, layers=[LAYERS[1], LAYERS[2] | {"size": 7316, "corrections": corrections}])
    assert table(edgeq("inspect", corrected, "--layers").out, "layer") == [
        ["q0", "DintGemm", "w4g128", "", "32×32", "576 B", "4.500"],
        ["o0", "LutGemm", "w3-bcq", "1,220 sparse, rank 8", "32×32", "7.32 kB", "57.156"],
    ]


def test_verify_compares_hashes(edgeq, bundle, tmp_path):
    assert "sizes and hashes of all files are as recorded" in edgeq("inspect", bundle, "--verify").out
    tampered = tmp_path / "tampered"
    shutil.copytree(bundle, tampered)
    content = bytearray((tampered / "model.onnx").read_bytes())
    content[-1] ^= 1
    (tampered / "model.onnx").write_bytes(content)
    assert edgeq("inspect", tampered).code == 0
    outcome = edgeq("inspect", tampered, "--verify")
    assert (outcome.code, outcome.out) == (2, "")
    assert "changed file" in outcome.err


def test_json_holds_all_of_it(edgeq, bundle):
    document = json.loads(edgeq("inspect", bundle, "--json").out)
    assert document["layers"] == [layer | {"corrections": [], "compression": None} for layer in LAYERS]
    assert document["bits_per_weight"] == pytest.approx(8 * 7296 / 11648)
    assert document["schemes"]["w3-bcq"] == {"matrices": 1, "weights": 1024, "size": 1280, "bits_per_weight": 10.0}
    assert document["graph_operators"]["MatMul"] == 9
    assert document["verified"] is False
    assert document["size"] == sum(record["size"] for record in document["files"].values())


def test_not_a_bundle(edgeq, tmp_path):
    outcome = edgeq("inspect", tmp_path)
    assert outcome.code == 2
    assert "not a bundle" in outcome.err
