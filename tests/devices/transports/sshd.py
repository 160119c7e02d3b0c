# SPDX-License-Identifier: Apache-2.0
"""A real sshd on loopback, with keys and configuration of its own; nothing of the user's is read or changed."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import pytest

from edgeq_devices.transports import SshTransport
from tests.devices.processes import wait_until

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin:/bin")


@dataclass
class Server:
    """A running sshd and what a client needs to reach it."""

    port: int
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def transport(self) -> SshTransport:
        user = getpass.getuser()
        transport = SshTransport(f"{user}@127.0.0.1", self.port, ["-F", str(self.directory / "client")])
        transport.lock = str(self.directory / "lock")  # whoever else measures on this machine is no matter
        return transport


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def trust(server: Server, key: Path) -> None:
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {key.with_suffix('.pub').read_text()}")


@contextmanager
def run_sshd(directory: Path) -> Iterator[Server]:
    if SSHD is None:
        pytest.skip("sshd is absent: apt install openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists on it
    port = configure(directory)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", directory / "server"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, "sshd has ended: another process has taken its port?"
        yield Server(port, directory, process)
    finally:
        process.terminate()
        process.wait()


def configure(directory: Path, seen: Path | None = None) -> int:
    """Writes keys and configuration of a server and of a client; the port.

    Args:
        directory: Where to.
        seen: The same directory as the server sees it, if it has a root directory of its own.
    """
    port, there = _free_port(), seen or directory
    host, user = make_key(directory / "host"), make_key(directory / "user")
    shutil.copy(user.with_suffix(".pub"), directory / "authorized_keys")
    (directory / "server").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {there}/host\nPidFile {there}/pid\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {there}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    (directory / "client").write_text(
        f"IdentityFile {user}\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {directory}/known_hosts\n"
        "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nUpdateHostKeys no\n"
    )
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {host.with_suffix('.pub').read_text()}")
    return port


def _free_port() -> int:
    """One below those that the kernel gives to connections: nobody takes it before the server does."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = SystemRandom().randrange(2048, max(first, 4096))
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool:
    """Whether somebody does, on loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
