# SPDX-License-Identifier: Apache-2.0
"""Android devices over adb: the system's, or the one that the package adbutils brings."""

from __future__ import annotations

import importlib
import shlex
import shutil
from collections.abc import Sequence

from edgeq.errors import EdgeqError
from edgeq_devices.transports.base import last_line

ADB_FAILED = 255
REMEDY = "sudo apt install adb, or pip install adbutils"
# What adb says, and what mends it.
_CAUSES = (
    ("unauthorized", "the device has not authorized this computer", "confirm the question on its screen"),
    ("offline", "the device is offline", "reconnect it, then: adb reconnect"),
    ("more than one device", "several devices are connected", "name one of adb devices: adb://SERIAL"),
    ("not found", "unknown device", "adb devices lists what is connected"),
    ("no devices", "no device is connected", "connect one and enable USB debugging"),
    ("cannot connect to daemon", "adb cannot start its server", None),
    ("failed to start daemon", "adb cannot start its server", None),
)  # fmt: skip


class AdbTransport:
    """One device of the adb server.

    Args:
        serial: Its serial number or address; empty where only one is connected.
    """

    root = "/data/local/tmp/edgeq"  # the only place where a shell may write and execute
    lock = ""  # there is one user

    def __init__(self, serial: str) -> None:
        if serial.startswith("-") or any(character.isspace() for character in serial):
            raise EdgeqError("wrong address", field="--device", found=repr(serial), wanted="adb://[serial]")
        self.name = f"adb://{serial}"
        self._adb = [find_adb(), *(["-s", serial] if serial else [])]

    def command(self, argv: Sequence[str]) -> list[str]:
        """Without a terminal (-T) bytes pass unchanged; the device's shell gets one quoted string."""
        return [*self._adb, "shell", "-T", shlex.join(argv)]

    def explain(self, code: int, stderr: str) -> EdgeqError | None:
        """What adb's own failure means; it reports them as ``error: …`` or ``adb: …``.

        When a device goes away in the middle, adb says nothing and exits with 0, or 255 in some versions.
        """
        if code in (0, ADB_FAILED) and not stderr.strip():
            return EdgeqError(
                "the connection was lost", field=self.name, remedy="measure again when the device is back"
            )
        line = last_line(stderr)
        if not line.startswith(("error:", "adb:", "* ")):
            return None
        for sign, problem, remedy in _CAUSES:
            if sign in line:
                return EdgeqError(problem, field=self.name, found=line, remedy=remedy)
        return EdgeqError("the connection failed", field=self.name, found=line)

    def close(self) -> None:
        """The server, which other programs use too, goes on."""


def find_adb() -> str:
    """Path of the adb program.

    Raises:
        EdgeqError: There is none.
    """
    path = shutil.which("adb")
    if path is None:
        try:
            path = str(importlib.import_module("adbutils").adb_path())
        except (ImportError, OSError) as error:
            raise EdgeqError("adb is not installed", field="--device", remedy=REMEDY) from error
    return path
