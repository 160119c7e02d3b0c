# SPDX-License-Identifier: Apache-2.0
"""Boards over the system's ssh: the user's configuration, keys and jump hosts; host keys are checked as it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from edgeq.errors import EdgeqError
from edgeq_devices.agent.lock import SHARED_LOCK
from edgeq_devices.transports.base import CONNECT_SECONDS, last_line

SSH_FAILED = 255
WANTED = "ssh://[user@]host[:port]"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%-]*")
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")  # names, IPv4 and IPv6; never what ssh would take for an option
# What ssh says, and what mends it.
_CAUSES = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "the host key has changed", "if it should: ssh-keygen -R '{known}'"),
    ("Host key verification failed", "the host key is unknown", "connect once with: ssh {port}{destination}"),
    ("Permission denied", "the board refuses the login", "ssh-copy-id {port}{destination}"),
    ("Could not resolve hostname", "unknown host", "check the name, or add it to ~/.ssh/config"),
    ("Connection refused", "the board refuses the connection", "start sshd there, or give its port: ssh://host:port"),
    ("timed out", "the board does not answer", "check the address and the network"),
    ("No route to host", "the board cannot be reached", "check the address and the network"),
)  # fmt: skip


class SshTransport:
    """One multiplexed ssh connection.

    Args:
        destination: ``[user@]host``, as ssh takes it.
        port: Port, if it is not the configured one.
        options: Further options of ssh.
    """

    root = ".cache/edgeq"  # relative to the home directory, where commands over ssh start
    lock = SHARED_LOCK

    def __init__(self, destination: str, port: int | None = None, options: Sequence[str] = ()) -> None:
        if shutil.which("ssh") is None:
            raise EdgeqError("ssh is not installed", field="--device", remedy="sudo apt install openssh-client")
        user, at, host = destination.rpartition("@")
        self.name = f"ssh://{user}{at}" + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        self._destination, self._port = destination, port
        # The path of a control socket must be short; a private directory keeps others from it.
        self._sockets = tempfile.TemporaryDirectory(prefix="edgeq-ssh-")
        self._options = [
            *(["-p", str(port)] if port else []),
            *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"),
            *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={self._sockets.name}/%C", "-o", "ControlPersist=60"),
            *("-o", "ForwardX11=no", "-o", "RequestTTY=no"),
            *options,
        ]

    @classmethod
    def from_url(cls, url: str) -> SshTransport:
        """Reads ``ssh://[user@]host[:port]``.

        Raises:
            EdgeqError: It is not of that form.
        """
        wrong = EdgeqError("wrong address", field="--device", found=repr(url), wanted=WANTED)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise wrong from None
        # Names of the user's configuration keep their case, which `hostname` does not.
        address = parts.netloc.rpartition("@")[2]
        host = address[1:].partition("]")[0] if address.startswith("[") else address.partition(":")[0]
        user = parts.username
        known = _HOST.fullmatch(host) and (user is None or _NAME.fullmatch(user))
        if not known or parts.password or parts.path.strip("/") or parts.query or parts.fragment:
            raise wrong
        return cls(f"{user}@{host}" if user else host, port)

    def command(self, argv: Sequence[str]) -> list[str]:
        """One string for the board's shell, as ssh hands it over: every word is quoted."""
        return ["ssh", *self._options, "--", self._destination, shlex.join(argv)]

    def explain(self, code: int, stderr: str) -> EdgeqError | None:
        """What ssh's own failure means."""
        if code < 0:  # this machine's ssh; what a signal ends on the board has a positive code
            found = f"ssh was ended by signal {-code}"
            return EdgeqError("the connection was lost", field=self.name, found=found, remedy="measure again")
        if code != SSH_FAILED:
            return None
        host, port = self._destination.rpartition("@")[2], self._port
        names = {
            "destination": self._destination,
            "port": f"-p {port} " if port else "",
            "known": f"[{host}]:{port}" if port else host,
        }
        for sign, problem, remedy in _CAUSES:
            if sign in stderr:
                return EdgeqError(problem, field=self.name, found=last_line(stderr), remedy=remedy.format(**names))
        if not stderr.strip():
            return EdgeqError("the connection was lost", field=self.name, remedy="measure again when the board is back")
        return EdgeqError("the connection failed", field=self.name, found=last_line(stderr))

    def close(self) -> None:
        """Ends the shared connection."""
        stop = ["ssh", *self._options, "-O", "exit", "--", self._destination]
        with suppress(OSError, subprocess.TimeoutExpired):  # a master that hangs ends by itself
            subprocess.run(stop, capture_output=True, timeout=CONNECT_SECONDS, check=False)
        self._sockets.cleanup()
