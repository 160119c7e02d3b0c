# SPDX-License-Identifier: Apache-2.0
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer

from edgeq.cli import doctor, requirements
from edgeq.errors import EdgeqError

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def findings():
    return {finding.topic: finding for finding in doctor.examine()}


def test_a_complete_installation_is_healthy(capsys):
    doctor.command(as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is True
    states = {finding["topic"]: finding["state"] for finding in document["findings"]}
    needed = ("platform", "CPU", "edgeq", "libraries", "export", "operators", "kernels", "self-test")
    assert {states[topic] for topic in needed} == {"ok"}


def test_one_line_per_finding(capsys):
    doctor.command(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(findings())
    assert any(re.match(r"ok +kernels +\w+, chosen from generic", line) for line in lines)


def test_a_missing_extra_is_optional_and_comes_with_its_command(monkeypatch):
    part = requirements.Part("dreaming", "pip install 'edgeq[dreams]'", ("no-such-distribution", "numpy"))
    monkeypatch.setattr(requirements, "EXTRAS", {"dreams": part})
    found = findings()["dreams"]
    assert (found.state, found.found) == ("optional", "for dreaming: no no-such-distribution")
    assert found.remedy == "pip install 'edgeq[dreams]'"


def test_a_missing_base_library_makes_the_exit_code_1(monkeypatch, capsys):
    part = requirements.Part("everything", "pip install edgeq", ("no-such-distribution",))
    monkeypatch.setattr(requirements, "BASE", part)
    with pytest.raises(typer.Exit) as exit_info:
        doctor.command(as_json=False)
    assert exit_info.value.exit_code == 1
    assert re.search(r"^MISSING +libraries .*->  pip install edgeq$", capsys.readouterr().out, re.MULTILINE)


def test_a_missing_operator_library_is_reported(monkeypatch):
    monkeypatch.setenv("EDGEQ_OPS_LIBRARY", "/no/such/library.so")
    found = findings()
    assert found["operators"].state == "missing"
    assert "/no/such/library.so" in found["operators"].found
    assert "self-test" not in found


def test_wrong_kernels_are_named(monkeypatch):
    import edgeq_devices.selftest.run as selftest

    outcomes = [selftest.Outcome("dint_w4", 1, 0.5, 0.02), selftest.Outcome("lut_w3", 9, 0.01, 0.02)]
    monkeypatch.setattr(selftest, "run_selftest", lambda: outcomes)
    found = findings()["self-test"]
    assert (found.state, found.found) == ("failed", "dint_w4 (1 tokens) off by 0.5")
    assert "EDGEQ_ISA=generic" in found.remedy


def test_a_self_test_that_does_not_run_is_a_failure(monkeypatch):
    import edgeq_devices.selftest.run as selftest

    def broken():
        raise EdgeqError("no\nluck")

    monkeypatch.setattr(selftest, "run_selftest", broken)
    assert (findings()["self-test"].state, findings()["self-test"].found) == ("failed", "no luck")


def test_the_parts_are_those_of_pyproject():
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = {
        name: lines
        for name, lines in project["optional-dependencies"].items()
        if lines and name not in ("bench", "dev")
    }
    wanted = {"base": project["dependencies"], **extras}
    parts = {"base": requirements.BASE, **requirements.EXTRAS}
    assert parts.keys() == wanted.keys()
    for name, part in parts.items():
        assert sorted(part.distributions) == sorted(re.split(r"[<>=\[; ]", line)[0] for line in wanted[name]), name


def test_weights_that_get_no_huge_pages_are_told_why(monkeypatch):
    import edgeq_ops

    sets = edgeq_ops.InstructionSets("generic", ("generic",), "mapped", "enabled is never")
    monkeypatch.setattr(edgeq_ops, "instruction_sets", lambda: sets)
    found = findings()["weights"]
    assert (found.state, found.found) == ("failed", "mapped, no huge pages: enabled is never")
