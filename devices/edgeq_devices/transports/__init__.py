# SPDX-License-Identifier: Apache-2.0
"""Ways to a board: this machine, ssh, adb. A transport turns a command of the board into a command of this machine."""

from __future__ import annotations

from edgeq.errors import EdgeqError
from edgeq_devices.transports.adb import AdbTransport
from edgeq_devices.transports.base import Transport
from edgeq_devices.transports.local import LocalTransport
from edgeq_devices.transports.ssh import SshTransport

WANTED = "local, ssh://[user@]host[:port] or adb://[serial]"

__all__ = ["AdbTransport", "LocalTransport", "SshTransport", "Transport", "open_transport"]


def open_transport(device: str) -> Transport:
    """The transport that ``--device`` names.

    Raises:
        EdgeqError: It names none, or the program that it needs is not installed.
    """
    scheme, separator, address = device.partition("://")
    if device == "local":
        return LocalTransport()
    if scheme == "ssh" and separator:
        return SshTransport.from_url(device)
    if scheme == "adb" and separator:
        return AdbTransport(address)
    raise EdgeqError("unknown device", field="--device", found=repr(device), wanted=WANTED)
