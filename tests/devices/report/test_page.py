# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.report.documents import Results, load_results
from edgeq_devices.report.llama_bench import llama_bench_rows
from edgeq_devices.report.page import render
from edgeq_devices.report.plots import figures, short_names
from tests.devices.report.samples import evaluation, profile, row, write

ENERGY = {
    "source": "hwmon ina3221",
    "leaves_out": "the carrier board",
    "watts": 6.5,
    "token_joules": 0.55,
    "token_net_joules": 0.31,
    "idle_watts": [2.25, 2.5],
    "load_watts": 4.75,
    "token_watts": 6.5,
}


class Page(HTMLParser):
    """Tags and texts of a page, scripts apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if not self._script:
            self.texts.append(data)


def results(directory: Path, *rows: dict[str, Any], **changes: Any) -> Results:
    write(directory / "profile.json", profile(*rows))
    write(directory / "quality.json", evaluation(**changes))
    return load_results([directory])


def test_a_page_needs_no_network(tmp_path: Path) -> None:
    page = Page(render(results(tmp_path, row()), "title"))
    assert not [attributes for tag, attributes in page.tags if tag in ("img", "iframe")]
    assert not [attributes for tag, attributes in page.tags if tag == "script" and "src" in attributes]


def test_numbers_flags_and_reasons_are_on_the_page(tmp_path: Path) -> None:
    times = {"ttft_p50_ns": 4e9, "ttft_p95_ns": 4.1e9, "ttft_p99_ns": 4.2e9, "tpot_p50_ns": None}
    reason = "the machine slowed itself down: throttled"
    flagged = row(test="pp512", n_prompt=512, n_gen=0, flags=[reason], **times)
    text = " ".join(Page(render(results(tmp_path, row(energy=ENERGY, energy_missing=None), flagged), "t")).texts)
    for wanted in (
        "12.00 ± 0.10",
        "0.55 (0.31)",
        "6.50",
        "4000.00 / 4100.00 / 4200.00",
        "slowed itself down",
        "20.1",
        "95.0%",
        "Cortex-A76",
        "2.25",
        "4.75",
        "Power by phase",
    ):
        assert wanted in text
    assert "No energy of local: no power sensor on this machine" in text


def test_results_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x>"
    found = results(tmp_path, row(model_filename=evil, device=evil, flags=[evil]), bundle=evil, text=evil)
    page = Page(render(found, evil))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    clean = Page(render(results(tmp_path, row(flags=["x"])), "t"))
    assert [tag for tag, _ in page.tags].count("script") == [tag for tag, _ in clean.tags].count("script")


def test_conditions_may_be_nested_deeply(tmp_path: Path) -> None:
    conditions: dict[str, Any] = {"cpu": "Cortex-A76"}
    for _ in range(900):
        conditions = {"inner": conditions, "kept": 1}
    file = write(tmp_path / "profile.json", profile(row(), conditions=conditions))
    assert "inner inner inner" in render(load_results([file]), "t")


def test_plots_are_those_that_the_results_allow(tmp_path: Path) -> None:
    titles = [figure.layout.title.text for figure in figures(results(tmp_path, row()))]
    assert titles == [
        "Quality against size",
        "Quality against generation speed",
        "Generation speed against size",
        "Generation throughput",
    ]
    with_energy = [figure.layout.title.text for figure in figures(results(tmp_path, row(energy=ENERGY)))]
    assert "Quality against energy" in with_energy


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["tiny-1.1b-w4g128", "tiny-1.1b-w3g64-bcq"], ["w4g128", "w3g64-bcq"]),
        (["tiny-w4", "tiny-w8"], ["w4", "w8"]),
        (["w4g128", "w4g64"], ["w4g128", "w4g64"]),
        (["tiny-w4", "tiny-w4"], ["tiny-w4", "tiny-w4"]),
        (["a", "b-c"], ["a", "b-c"]),
        (["a-", "a-b"], ["a-", "b"]),
        ([], []),
    ],
)
def test_marks_are_labelled_by_what_differs(names: list[str], short: list[str]) -> None:
    found = short_names(names)
    assert [found[name] for name in names] == short


def test_flagged_rows_are_hollow_and_in_no_bar(tmp_path: Path) -> None:
    plots = {figure.layout.title.text: figure for figure in figures(results(tmp_path, row(flags=["hot"])))}
    assert "Generation throughput" not in plots
    assert plots["Generation speed against size"].data[0].marker.symbol == ("circle-open",)


def test_a_sustained_run_is_drawn_over_time(tmp_path: Path) -> None:
    run = {
        "seconds": [1.0, 2.0],
        "ts": [12.0, 11.0],
        "machine_seconds": [0.5, 1.0],
        "temperature": [50.0, 60.0],
        "clock": [None, None],
        "watts": [5.0, None],
    }
    *_, plot = figures(results(tmp_path, row(sustained=run)))
    assert plot.layout.title.text == "tiny-w4, tg128, local, 4 threads: sustained"
    assert [curve.name for curve in plot.data] == [
        "tokens/s, mean 11.5",
        "temperature (°C), mean 55",
        "power (W), mean 5",
    ]


def test_llama_bench_rows_leave_flagged_ones_out(tmp_path: Path) -> None:
    (found,) = llama_bench_rows(results(tmp_path, row(), row(flags=["hot"])))
    assert found["avg_ts"] == 12.0
    assert found["samples_ns"][1] == round(128e9 / 12.0)


def test_without_plotly_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(EdgeqError, match=r"plotly is not installed; pip install 'edgeq\[report\]'"):
        render(results(tmp_path, row()), "t")
