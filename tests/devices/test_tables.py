# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq_devices.conditions import Conditions, Frequency
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.memory import Memory
from edgeq_devices.results import Measurement, ModelFacts, Report
from edgeq_devices.tables import aligned_table, binary_size, comma_separated, json_text, markdown, parameter_count

MIB = 1024**2
EXPECTED = Path(__file__).parent / "expected"
CONDITIONS = Conditions(
    time="2026-11-22T01:50:00+00:00",
    system="Linux 6.1.0 aarch64",
    cpu="Raspberry Pi 5 Model B Rev 1.0",
    processors=4,
    affinity=[0, 1, 2, 3],
    frequencies=[Frequency("policy0", "performance", 2_400_000, 1_500_000, 2_400_000)],
    temperatures={"thermal_zone0:cpu-thermal": 48.3},
    load_average=[0.1, 0.2, 0.3],
    memory_total=8 << 30,
    memory_available=7 << 30,
    swap_used=0,
    throttled=None,
    versions={"python": "3.11.7", "onnxruntime": "1.31.1"},
)
MODEL = ModelFacts("tiny-w4", "decoder", "llama", 1_100_000_000, "w4g128", 4.125, 600 * MIB)


def measured(test, samples, **changes):
    memory = Memory(50 * MIB, 60 * MIB, 0, 110 * MIB)
    peak = Memory(90 * MIB, 1536 * MIB, 0, 1626 * MIB)
    loaded = replace(memory, anonymous=60 * MIB)
    base = Measurement(
        Job(Model("out/tiny-w4"), test, threads=2, repetitions=2),
        samples,
        250_000_000,
        memory,
        loaded,
        peak,
        "neon_dotprod",
        0.0,
    )
    return replace(base, **changes)


@pytest.fixture
def report():
    prompt = measured(Test(prompt=512), (4_000_000_000, 5_000_000_000))
    generation = measured(Test(generate=128, depth=64), (8_000_000_000, 8_000_000_000), other_processors=0.5)
    return Report(MODEL, CONDITIONS, [prompt, generation])


def test_markdown(report):
    assert markdown(report) == (EXPECTED / "decoder.md").read_text()


def test_unknown_conditions_are_called_unknown(report):
    nothing = replace(
        CONDITIONS, cpu=None, processors=None, frequencies=[], temperatures={}, load_average=None, versions={}
    )
    stock = replace(report.measurements[0], instruction_set=None, other_processors=None)
    assert markdown(Report(MODEL, nothing, [stock])).splitlines()[-1] == (
        "unknown CPU, ? processors; kernels of ONNX Runtime; 2 repetitions; governor unknown; clock unknown; "
        "temperature unknown; throttling unknown; load unknown"
    )


def test_an_encoder_has_sentences_and_latency():
    encoder = replace(MODEL, kind="encoder", name="minilm", parameters=22_700_000, size=17 * MIB)
    row = measured(Test(prompt=64, encoder=True), (20_000_000, 40_000_000))
    assert markdown(Report(encoder, CONDITIONS, [row])) == (EXPECTED / "encoder.md").read_text()


def test_csv_reads_back(report):
    rows = list(csv.DictReader(io.StringIO(comma_separated(report))))
    assert [row["test"] for row in rows] == ["pp512", "tg128 @ d64"]
    assert float(rows[0]["avg_ts"]) == 115.2
    assert int(rows[0]["load_anonymous"]) == 10 * MIB
    assert [row["flags"] for row in rows] == ["", "other processes kept 0.50 of 4 processors busy"]
    assert "samples_ns" not in rows[0]


def test_json_holds_samples_and_conditions(report):
    document = json.loads(json_text(report))
    assert document["model"]["scheme"] == "w4g128"
    assert document["conditions"]["frequencies"][0]["governor"] == "performance"
    first = document["results"][0]
    assert first["samples_ts"] == [128.0, 102.4]
    assert (first["n_prompt"], first["n_gen"], first["n_depth"], first["n_threads"]) == (512, 0, 0, 2)
    assert first["peak_file_backed"] == 1536 * MIB
    assert (first["unit"], first["flags"]) == ("tokens/s", [])


def test_other_load_is_flagged_above_a_twentieth_of_the_machine():
    assert measured(Test(prompt=1), (1,), other_processors=0.2).flags(4) == []
    assert measured(Test(prompt=1), (1,), other_processors=0.21).flags(4) == [
        "other processes kept 0.21 of 4 processors busy"
    ]


def test_sizes_and_counts_as_llama_bench_prints_them():
    assert (binary_size(3.56 * 1024**3), binary_size(11.5 * MIB), binary_size(0)) == (
        "3.56 GiB",
        "11.50 MiB",
        "0.00 MiB",
    )
    assert (parameter_count(6_740_000_000), parameter_count(260_032)) == ("6.74 B", "0.26 M")


def test_a_table_without_rows():
    assert aligned_table(["model", "t/s"], []) == "| model | t/s |\n| ----- | --: |\n"
