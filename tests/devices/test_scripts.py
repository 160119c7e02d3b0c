# SPDX-License-Identifier: Apache-2.0
"""The script that needs nothing but ssh, against a real sshd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgeq_devices.report.documents import Profile, load_document
from tests.devices.own_lock import write_site
from tests.devices.transports.sshd import run_sshd

SCRIPT = Path(__file__).resolve().parents[2] / "devices/scripts/profile-over-ssh.sh"
EDGEQ = Path(sys.executable).with_name("edgeq")
OPTIONS = ["-p", "8", "-n", "0", "-t", "1", "-r", "2", "--no-power", "--name", 'a "board"\'s']


def test_a_bundle_is_profiled_and_nothing_left(tmp_path: Path, tiny_decoder: Any) -> None:
    bundle = tmp_path / "it's a bundle"
    shutil.copytree(tiny_decoder.directory, bundle)
    (tmp_path / "bin").mkdir()
    for name, command in (("ssh", f'ssh -F {tmp_path}/client "$@"'), ("edgeq", f'{EDGEQ} "$@"')):
        wrapper = tmp_path / "bin" / name
        wrapper.write_text(f"#!/bin/sh\nPATH=${{PATH#*:}}\nexec {command}\n")
        wrapper.chmod(0o755)
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    write_site(tmp_path)
    (tmp_path / "tmp").mkdir()
    with run_sshd(tmp_path) as server:
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHON": str(python)}
        environment["TMPDIR"] = str(tmp_path / "tmp")
        command = [SCRIPT, "127.0.0.1", str(bundle), str(tmp_path / "result.json"), *OPTIONS]
        (tmp_path / "client").write_text(f"Port {server.port}\n" + (tmp_path / "client").read_text())
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    profile = load_document(tmp_path / "result.json")
    assert isinstance(profile, Profile)
    assert (profile.device, profile.results[0].model_filename) == ('a "board"\'s', "it's a bundle")
    assert list((tmp_path / "tmp").glob("tmp*")) == []
