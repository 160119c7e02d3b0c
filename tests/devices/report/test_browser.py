# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: it opens from a file, without a network, and draws everything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeq_devices.report.documents import load_results
from edgeq_devices.report.page import render
from tests.devices.report.samples import evaluation, profile, row, write

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is absent: apt install chromium")
SUSTAINED = {
    "seconds": [1.0, 2.0],
    "ts": [12.0, 11.0],
    "machine_seconds": [0.5, 1.5],
    "temperature": [50.0, 60.0],
    "clock": [2.4e6, 2.1e6],
    "watts": [5.0, 5.5],
}
NET_LOG = "net.json"
# A line per event; what the browser wants for itself, sooner or later, no page has initiated.
REQUEST = re.compile(r'"initiator":"(?!not an origin")[^\n]*?"url":"(https?:[^"]*)"')
HOSTILE = "</script><img src=x onerror=console.error('run')>"


def browse(page: Path) -> subprocess.CompletedProcess[str]:
    """The document after its scripts have run, and on stderr what they wrote to the console."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"]
    command += [f"--log-net-log={page.parent / NET_LOG}"]
    command += [f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)


def console(seen: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in seen.stderr.splitlines() if "CONSOLE" in line]


def requested(directory: Path) -> set[str]:
    """Addresses that the page asked for."""
    return set(REQUEST.findall((directory / NET_LOG).read_text(errors="replace")))


def test_the_page_draws_everything_without_a_network(tmp_path: Path) -> None:
    rows = [row(), row(model_filename=HOSTILE, flags=["hot"]), row(sustained=SUSTAINED, test="tg64", n_gen=64)]
    write(tmp_path / "profile.json", profile(*rows))
    write(tmp_path / "quality.json", evaluation(bundle=HOSTILE))
    page = tmp_path / "report.html"
    page.write_text(render(load_results([tmp_path / "profile.json", tmp_path / "quality.json"]), "Boards"))
    seen = browse(page)
    assert console(seen) == []
    assert requested(tmp_path) == set()
    for table, count in (("measurements", 3), ("quality", 1)):
        content = re.search(f'<table id="{table}">.*?</table>', seen.stdout, re.DOTALL)
        assert content is not None
        assert content[0].count("<tr") == count + 1
    plots = seen.stdout.split('<div class="plot">')[1:]
    assert len(plots) == 5
    assert all("<svg" in plot and 'class="trace' in plot for plot in plots)
    assert "<img src" not in seen.stdout


def test_the_browser_would_tell(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<script src="https://example.org/plots.js"></script><script>absent()</script>')
    assert "absent is not defined" in console(browse(page))[0]
    assert requested(tmp_path) == {"https://example.org/plots.js"}
