# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq_devices.agent.monitor import Extremes
from edgeq_devices.conditions import Conditions, Frequency, processor_ranges
from edgeq_devices.events import Done, Idle, Loaded, PhaseEnergy, Power, Repetition, State
from edgeq_devices.job import Job, Model, Test
from edgeq_devices.measure import Timing
from edgeq_devices.memory import Memory
from edgeq_devices.power.source import Description, Quantity, Rail
from edgeq_devices.power.window import Window
from edgeq_devices.results import Measurement, ModelFacts
from edgeq_devices.rows import Report
from edgeq_devices.tables import (
    aligned_table,
    binary_size,
    comma_separated,
    json_text,
    markdown,
    parameter_count,
)
from edgeq_devices.throttle import Throttling

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
    versions={"python": "3.11.7", "onnxruntime": "1.31.1"},
)
MODEL = ModelFacts("tiny-w4", "decoder", "llama", 1_100_000_000, "w4g128", 4.125, 600 * MIB)


SENSOR = Description(
    "hwmon ina3221",
    Quantity.POWER,
    (Rail("VDD_IN", True), Rail("VDD_SOC", False)),
    leaves_out="the carrier board",
    uncertainty="0.25 % of the shunt voltage",
    interval=0.02,
)


def state(when, **changes):
    return State(when=when, state=CONDITIONS, throttling=Throttling(), **changes)


def run(test, nanoseconds, energy=None):
    """A repetition whose prompt and tokens take their share of the time each."""
    prompt = nanoseconds * test.prompt // (test.prompt + test.generate)
    ends = tuple(prompt + (nanoseconds - prompt) * (i + 1) // test.generate for i in range(test.generate))
    return Repetition(timing=Timing(0, prompt, ends), energy=energy)


def measured(test, samples, processors=(), other_processors=0.0, instruction_set="neon_dotprod", **changes):
    memory = Memory(50 * MIB, 60 * MIB, 0, 110 * MIB)
    peak = Memory(90 * MIB, 1536 * MIB, 0, 1626 * MIB)
    loaded = Loaded(
        load_ns=250_000_000,
        before=memory,
        after=replace(memory, anonymous=60 * MIB),
        instruction_set=instruction_set,
    )
    base = Measurement(
        Job(Model("out/tiny-w4"), test, threads=2, repetitions=2, processors=processors),
        loaded,
        tuple(run(test, sample) for sample in samples),
        Done(peak=peak, other_processors=other_processors),
        state("before"),
        state("after"),
    )
    return replace(base, **changes)


def report_of(*measurements, model=MODEL):
    return Report(model, "local", "raspberry-pi-5", measurements)


@pytest.fixture
def report():
    prompt = measured(Test(prompt=512), (4_000_000_000, 5_000_000_000))
    generation = measured(Test(generate=128, depth=64), (8_000_000_000, 8_000_000_000), other_processors=0.5)
    return report_of(prompt, generation)


def test_a_cell_is_one_cell_on_one_line():
    assert aligned_table(["a"], [["b|c\nd\x1b[2J"]]) == "|          a |\n| ---------: |\n| b\\|c d [2J |\n"


def test_markdown(report):
    assert markdown(report) == (EXPECTED / "decoder.md").read_text()


def test_unknown_conditions_are_called_unknown():
    nothing = replace(
        CONDITIONS, cpu=None, processors=None, frequencies=[], temperatures={}, load_average=None, versions={}
    )
    before = State(when="before", state=nothing, throttling=Throttling())
    after = State(when="after", state=nothing, throttling=Throttling())
    stock = measured(Test(prompt=8), (1, 1), other_processors=None, instruction_set=None, before=before, after=after)
    assert markdown(report_of(stock)).splitlines()[-1] == (
        "unknown CPU, ? processors; kernels of ONNX Runtime; 2 repetitions; governor unknown; clock unknown; "
        "temperature unknown; throttling unknown; load unknown"
    )


def test_an_encoder_has_sentences_and_latency():
    encoder = replace(MODEL, kind="encoder", name="minilm", parameters=22_700_000, size=17 * MIB)
    row = measured(Test(prompt=64, encoder=True), (20_000_000, 40_000_000))
    assert markdown(report_of(row, model=encoder)) == (EXPECTED / "encoder.md").read_text()


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
    assert measured(Test(prompt=1), (1,), other_processors=0.2).flags == []
    assert measured(Test(prompt=1), (1,), other_processors=0.21).flags == [
        "other processes kept 0.21 of 4 processors busy"
    ]


@pytest.mark.parametrize(
    ("extremes", "flags"),
    [
        (Extremes(fastest={"policy0": 2_400_000}, slowest={"policy0": 2_300_000}), []),
        (
            Extremes(fastest={"policy0": 2_400_000}, slowest={"policy0": 1_500_000}),
            ["the clock of policy0 fell by 38% from 2400 MHz"],
        ),
        (Extremes(margins={"thermal_zone0:cpu": -0.5}), ["thermal_zone0:cpu came within 5 °C of its trip point"]),
        (Extremes(pages_swapped_in=7), ["7 pages were swapped in"]),
        (Extremes(pages_swapped_in=0), []),
    ],
)
def test_what_was_seen_during_a_run_is_flagged(extremes, flags):
    assert measured(Test(prompt=1), (1,), after=state("after", extremes=extremes)).flags == flags


def test_throttling_during_a_run_is_flagged():
    after = State(when="after", state=CONDITIONS, throttling=Throttling(("vcgencmd",), events={"throttled": 1}))
    row = measured(Test(prompt=1), (1,), after=after)
    assert row.flags == ["the machine slowed itself down: throttled"]
    assert "throttling throttled;" in markdown(report_of(row))


def window(seconds, joules, samples=50, fault=None):
    return Window(seconds, {"VDD_IN": joules, "VDD_SOC": joules / 2}, samples, fault)


def with_energy(fault=None, source=SENSOR, reason=None):
    """Idle 2 W; loading in 0.5 s with 1.5 J, a prompt of 8 tokens in 2 s with 12 J, 4 tokens in 4 s with 16 J."""
    energy = PhaseEnergy(prompt=window(2.0, 12.0), generate=window(4.0, 16.0, fault=fault))
    test = Test(prompt=8, generate=4)
    row = measured(test, (1, 1))
    return replace(
        row,
        loaded=row.loaded.model_copy(update={"energy": window(0.5, 1.5) if source else None}),
        repetitions=(run(test, 6_000_000_000, energy if source else None),) * 2,
        power=Power(source=source, reason=reason),
        idle=(Idle(window=window(2.0, 4.0)), Idle(window=window(2.0, 4.0))) if source else (),
    )


def test_energy_is_split_by_phase_and_freed_of_idle():
    energy = with_energy().energy
    assert (energy.prompt_joules, energy.token_joules) == (1.5, 4.0)
    assert (energy.prompt_net_joules, energy.token_net_joules) == (1.0, 2.0)
    assert energy.watts == pytest.approx(28 / 6)
    assert (energy.load_watts, energy.load_joules) == (3.0, 1.5)
    assert energy.rails == ("VDD_IN",)


def test_energy_is_printed_with_its_source():
    assert markdown(report_of(with_energy())) == (EXPECTED / "energy.md").read_text()


def test_a_sensor_that_failed_leaves_no_energy_and_a_flag():
    row = with_energy(fault="hwmon ina3221 failed: gone")
    assert row.energy is None
    assert row.flags == ["hwmon ina3221 failed: gone"]


def test_windows_with_few_samples_are_flagged_once():
    row = with_energy()
    short = PhaseEnergy(prompt=window(0.5, 3.0, samples=4), generate=window(0.25, 1.0, samples=2))
    runs = (row.repetitions[0], *(row.repetitions[0].model_copy(update={"energy": short}),) * 3)
    assert replace(row, repetitions=runs).flags == [
        "2 power samples in 0.25 s, wanted at least 5 (6 of 10 windows have fewer)"
    ]


def test_a_machine_without_a_sensor_has_no_energy_column_and_a_reason():
    text = markdown(report_of(with_energy(source=None, reason="no power sensor on this machine")))
    assert "J/token" not in text
    assert "energy: none, no power sensor on this machine\n" in text


def test_latencies_are_percentiles_by_nearest_rank():
    test = Test(generate=100)
    ends = tuple(sum(range(1, n + 2)) for n in range(100))  # tokens of 1, 2, … 100 ns
    row = measured(test, (), repetitions=(Repetition(timing=Timing(0, 0, ends)),))
    fields = report_of(row).rows()[0]
    assert [fields[f"tpot_p{share}_ns"] for share in (50, 95, 99)] == [50, 95, 99]
    assert "ttft_p50_ns" not in fields


def test_processors_are_printed_as_ranges():
    assert [processor_ranges(numbers) for numbers in ((), (3,), (0, 1, 2, 6), (4, 2, 3))] == ["", "3", "0-2,6", "2-4"]


def test_sizes_and_counts_as_llama_bench_prints_them():
    assert (binary_size(3.56 * 1024**3), binary_size(11.5 * MIB), binary_size(0)) == (
        "3.56 GiB",
        "11.50 MiB",
        "0.00 MiB",
    )
    assert (parameter_count(6_740_000_000), parameter_count(260_032)) == ("6.74 B", "0.26 M")


def test_a_table_without_rows():
    assert aligned_table(["model", "t/s"], []) == "| model | t/s |\n| ----- | --: |\n"
