# SPDX-License-Identifier: Apache-2.0
"""Bundles are rewritten with compressed weights, and back, without a change of what they compute."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgeq.bundle.manifest import LayerRecord
from edgeq.bundle.reader import open_bundle
from edgeq.compression.choice import Form
from edgeq.errors import EdgeqError
from edgeq.formats.compression import read_header
from edgeq.runtime.session import open_session
from edgeq_export.compression import measuring
from edgeq_export.compression.bundles import open_graph
from edgeq_export.compression.choosing import choose, measure_forms
from edgeq_export.compression.compressing import Request, compress_bundle
from edgeq_export.compression.storing import Storage, compress_graph
from edgeq_export.compression.units import Unit
from tests.export.compression.graphs import write_graph

IDS = np.arange(7, dtype=np.int64)[None]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("compression") / "bundle"
    write_graph(directory)
    return directory


def outputs(bundle: Path) -> list[np.ndarray]:
    return list(open_session(open_bundle(bundle), 1).run(None, {"ids": IDS}))


def layers(bundle: Path) -> dict[str, LayerRecord]:
    return {layer.name: layer for layer in open_bundle(bundle).manifest.layers}


def test_units_are_what_can_only_be_stored_alike(bundle: Path) -> None:
    units = open_graph(bundle).units
    names = [[weight.name.removesuffix(".weight.data") for weight in unit.weights] for unit in units]
    assert names == [["head"], ["up", "gate"], ["small"], ["odd"]]
    assert [len(unit.nodes) for unit in units] == [2, 1, 1, 1]
    assert [unit.takes("rans") for unit in units] == [True, True, True, False]
    assert [unit.takes("nibble") for unit in units] == [True, True, False, False]


@pytest.mark.parametrize("mode", ["load", "use"])
@pytest.mark.parametrize("codec", ["rans", "nibble"])
def test_compressed_bundles_compute_the_same_bits(bundle: Path, tmp_path: Path, mode: str, codec: str) -> None:
    outcome = compress_bundle(bundle, tmp_path / "out", Request(mode, codec))  # type: ignore[arg-type]
    for found, wanted in zip(outputs(tmp_path / "out"), outputs(bundle), strict=True):
        np.testing.assert_array_equal(found, wanted)
    records = layers(tmp_path / "out")
    assert outcome.raw == (["odd.weight.data"] if codec == "rans" else ["small.weight.data", "odd.weight.data"])
    assert records["odd"] == layers(bundle)["odd"]
    assert (records["small"].compression is None) == (codec == "nibble")
    record = records["embed"].compression
    assert record is not None
    assert (record.codec, record.mode, record.raw_size) == (codec, mode, layers(bundle)["embed"].size)
    assert records["embed"].raw_size == layers(bundle)["embed"].size
    assert 3.0 < record.entropy < 3.7  # normal, 2.5 steps wide: 3.37 bits


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with codes as rounding to the finest steps makes them: most of 256 occur."""
    directory = tmp_path_factory.mktemp("compression") / "wide"
    write_graph(directory, deviation=40.0)
    return directory


def test_what_would_not_be_smaller_stays_raw(wide: Path, tmp_path: Path) -> None:
    outcome = compress_bundle(wide, tmp_path / "out", Request("use", "nibble"))
    assert outcome.not_smaller == ["head.weight.data", "up.weight.data", "gate.weight.data"]
    assert layers(tmp_path / "out") == layers(wide)
    assert (tmp_path / "out" / "model.onnx").read_bytes() == (wide / "model.onnx").read_bytes()
    assert compress_bundle(wide, tmp_path / "rans", Request("use", "rans")).not_smaller == []
    assert all(record.size <= record.raw_size for record in layers(tmp_path / "rans").values())


def test_what_is_stored_larger_becomes_raw_again(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundles of before that rule."""
    with monkeypatch.context() as changed:
        changed.setattr(Unit, "raw_size", 1 << 40)
        compress_bundle(wide, tmp_path / "larger", Request("use", "nibble"))
    assert layers(tmp_path / "larger")["up"].size > layers(wide)["up"].size
    compress_bundle(tmp_path / "larger", tmp_path / "again", Request("load", "nibble"))
    assert layers(tmp_path / "again") == layers(wide)


def test_records_say_what_the_graph_holds(bundle: Path, tmp_path: Path) -> None:
    compress_bundle(bundle, tmp_path / "out", Request("use", "rans"))
    graph = open_graph(tmp_path / "out")
    records = layers(tmp_path / "out")
    names = {"head": "embed"}
    for unit in graph.units:
        for weight in unit.weights:
            name = weight.name.removesuffix(".weight.data")
            record = records[names.get(name, name)]
            assert weight.stored().size == record.size
            assert (weight.mode == "use") == (record.compression is not None)
            if weight.mode:
                assert read_header(weight.stored()).raw_size == record.raw_size


def test_data_begin_pages_and_other_files_are_kept(bundle: Path, tmp_path: Path) -> None:
    compress_bundle(bundle, tmp_path / "out", Request())
    for tensor in ir.load(tmp_path / "out" / "model.onnx").graph.initializers.values():
        if isinstance(tensor.const_value, ir.ExternalTensor):
            assert (tensor.const_value.offset or 0) % 4096 == 0
    assert (tmp_path / "out" / "notes" / "readme.txt").read_bytes() == b"kept"
    assert open_bundle(tmp_path / "out", verify=True).manifest.files.keys() == open_bundle(bundle).manifest.files.keys()


def test_compression_can_be_changed_and_undone(bundle: Path, tmp_path: Path) -> None:
    compress_bundle(bundle, tmp_path / "a", Request("use", "rans"))
    compress_bundle(tmp_path / "a", tmp_path / "b", Request("load", "nibble"))
    compress_bundle(tmp_path / "b", tmp_path / "c", Request("raw"))
    assert layers(tmp_path / "c") == layers(bundle)
    for name in ("model.onnx", "model.onnx.data", "edgeq.json"):
        assert (tmp_path / "c" / name).read_bytes() == (bundle / name).read_bytes()


def test_the_same_request_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    for name in "ab":
        compress_bundle(bundle, tmp_path / name, Request("use"))
    assert (tmp_path / "a" / "edgeq.json").read_bytes() == (tmp_path / "b" / "edgeq.json").read_bytes()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "SECONDS", 1e-3)
    monkeypatch.setattr(measuring, "WORKING_SET", 1 << 16)


def paced(forms: list[list[Form]], seconds: dict[str, float]) -> list[list[Form]]:
    """The measured forms with times that depend on no machine."""
    return [[replace(form, seconds=seconds[form.name]) for form in own] for own in forms]


@pytest.mark.usefixtures("quick")
def test_choices_keep_the_budget(bundle: Path, tmp_path: Path) -> None:
    graph = open_graph(bundle)
    measured = measure_forms(graph, ["rans", "nibble"], threads=1)
    forms = paced(measured, {"raw": 1.0, "nibble": 2.0, "rans": 3.0})
    free = choose(graph, ["rans", "nibble"], max_memory=10**9, forms=forms)
    assert {form.name for form in free.plan.forms} == {"raw"}
    least = sum(min(form.memory for form in own) for own in forms) + free.others
    tight = choose(graph, ["rans", "nibble"], max_memory=least, forms=forms)
    assert tight.memory == least < free.raw_memory
    with pytest.raises(EdgeqError, match="do not fit"):
        choose(graph, ["rans", "nibble"], max_memory=least - 1, forms=forms)
    outcome = compress_bundle(bundle, tmp_path / "out", Request("auto", max_memory=least, threads=1))
    assert outcome.choice is not None
    assert outcome.choice.memory == least
    for found, wanted in zip(outputs(tmp_path / "out"), outputs(bundle), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.usefixtures("quick")
def test_what_is_faster_compressed_stays_so(bundle: Path) -> None:
    graph = open_graph(bundle)
    forms = paced(measure_forms(graph, ["rans"], threads=1), {"raw": 2.0, "rans": 1.0})
    choice = choose(graph, ["rans"], max_memory=10**9, forms=forms)
    assert [form.name for form in choice.plan.forms] == ["rans", "rans", "rans", "raw"]
    assert {storage.mode for storage in choice.storages.values()} == {"use", "raw"}


@pytest.mark.usefixtures("quick")
def test_forms_that_are_not_smaller_are_not_chosen_between(wide: Path) -> None:
    forms = measure_forms(open_graph(wide), ["rans", "nibble"], threads=1)
    assert [[form.name for form in own] for own in forms] == [*[["raw", "rans"]] * 3, ["raw"]]


def test_graphs_are_compressed_before_they_are_written(bundle: Path) -> None:
    opened = open_graph(bundle)
    records = compress_graph(opened.model, opened.bundle.manifest.layers, Storage.parse("use:nibble"))
    assert [record.name for record in records if record.compression] == ["embed", "up", "gate"]


@pytest.mark.parametrize("text", ["", "raw", "use:", "use:zip", "load:rans:2", "always"])
def test_unknown_storages_are_refused(text: str) -> None:
    if text == "use:":
        assert Storage.parse(text) == Storage("use", "rans")
        return
    with pytest.raises(EdgeqError, match="unknown compression"):
        Storage.parse(text)


class TestHostileBundles:
    @pytest.fixture
    def compressed(self, bundle: Path, tmp_path: Path) -> Path:
        compress_bundle(bundle, tmp_path / "hostile", Request("use", "rans"))
        return tmp_path / "hostile"

    def test_damaged_weights_are_named(self, compressed: Path, tmp_path: Path) -> None:
        graph = open_graph(compressed)  # hashes hold; the bytes change in memory, as if they had been hashed anew
        weight = graph.units[1].weights[0]
        data = weight.stored().copy()
        data[len(data) // 2] ^= 4
        weight.value.const_value = ir.tensor(data, name=weight.name)
        with pytest.raises(EdgeqError, match=r"up\.weight\.data: block 0 is damaged"):
            weight.packed()

    def test_another_shape_is_refused(self, compressed: Path) -> None:
        graph = open_graph(compressed)
        graph.units[0].nodes[0].attributes["N"] = ir.AttrInt64("N", 199)
        graph.units[0].nodes[1].attributes["N"] = ir.AttrInt64("N", 199 - 32)
        from edgeq_export.compression.units import find_units

        with pytest.raises(EdgeqError, match="matrix"):
            find_units(graph.model)[0].weights[0].packed()

    def test_changed_files_are_refused(self, compressed: Path, tmp_path: Path) -> None:
        data = compressed / "model.onnx.data"
        content = bytearray(data.read_bytes())
        content[100] ^= 1
        data.write_bytes(content)
        with pytest.raises(EdgeqError, match="changed file"):
            compress_bundle(compressed, tmp_path / "out", Request())
        assert not (tmp_path / "out").exists()

    def test_unknown_modes_of_a_graph_are_refused(self, compressed: Path) -> None:
        graph = open_graph(compressed)
        graph.units[1].nodes[0].attributes["weight_compression"] = ir.AttrString("weight_compression", "never")
        from edgeq_export.compression.units import find_units

        with pytest.raises(EdgeqError, match="mode"):
            find_units(graph.model)


def test_nothing_is_replaced_by_itself(bundle: Path) -> None:
    with pytest.raises(EdgeqError, match="its own source"):
        compress_bundle(bundle, bundle, Request(), force=True)


def test_pytorch_is_not_needed(bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from edgeq_export.compression.compressing import Request, compress_bundle\n"
        "compress_bundle(Path(sys.argv[1]), Path(sys.argv[2]), Request())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(bundle), str(tmp_path / "out")], check=True, capture_output=True)
    assert (tmp_path / "out" / "edgeq.json").is_file()
