# SPDX-License-Identifier: Apache-2.0
"""An emulated board: 64-bit ARM Debian with an sshd of its own under qemu-user, on loopback.

It has its own processes, mounts and disk, and its own table of emulators (Linux 6.7 or newer), so that nothing is
registered on the host. ``python -m tests.devices.emulated_board build/arm`` starts one to look at.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.custom_ops.arm import rootfs
from tests.devices.processes import children, wait_until
from tests.devices.transports.sshd import Server, configure, listens

SCRIPT = Path(__file__).with_suffix(".sh")
SEEN = Path("/run/board")  # sshd's files, as the board sees them
NAMESPACES = ("unshare", "--user", "--mount", "--pid", "--fork")
TABLE = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc"
START_SECONDS = 300
IDS = 1 << 16  # users and groups of the board


def obstacle() -> str | None:
    """Why no board can be emulated here."""
    owned = int(Path("/proc/self/uid_map").read_text().split()[2])
    if os.geteuid() != 0 or owned < IDS:
        return "an emulated board's sshd wants more than one user id, which root alone may map"
    probe = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", TABLE]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespace with its own emulators: {done.stderr.strip()}"


class EmulatedBoard:
    """A board that can be switched on and off; its disk stays.

    Args:
        directory: Empty; for keys, configuration, log and disk.
        root: Its root directory (:func:`tests.custom_ops.arm.rootfs.make`).
        emulator: Of its processor, statically linked.
    """

    def __init__(self, directory: Path, root: Path, emulator: Path) -> None:
        self.directory, self.disk = directory / "sshd", directory / "disk"
        for path in (self.directory, self.disk):
            path.mkdir(mode=0o700)
        self.port = configure(self.directory, SEEN)
        self._command = ["sh", str(SCRIPT), *map(str, (root, emulator, self.directory, self.disk))]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Switches it on."""
        # The user ids are mapped from outside, and root's rights come with the next program.
        waiting = [*NAMESPACES, "sh", "-c", 'read -r _ && exec "$@"', "sh", *self._command]
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._process = process
        _map_ids(process.pid)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        wait_until(lambda: listens(self.port) or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, (self.directory / "log").read_text()
        return Server(self.port, self.directory, process)

    def stop(self) -> None:
        """Pulls the plug."""
        if self._process is not None:
            for first in children(self._process.pid):  # the kernel ends all others with it
                os.kill(first, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def run_board(directory: Path, root: Path, emulator: Path) -> Iterator[tuple[EmulatedBoard, Server]]:
    """A board that is switched on, and off at the end."""
    board = EmulatedBoard(directory, root, emulator)
    try:
        yield board, board.start()
    finally:
        board.stop()


def _map_ids(pid: int) -> None:
    own, new = Path("/proc/self/ns/user"), Path(f"/proc/{pid}/ns/user")
    while new.readlink() == own.readlink():
        time.sleep(0.01)
    for kind in ("uid", "gid"):
        Path(f"/proc/{pid}/{kind}_map").write_text(f"0 0 {IDS}\n")


def main(directory: Path) -> int:
    """Makes a board, starts it and says how to reach it, until it is interrupted."""
    try:
        emulator = rootfs.emulator(directory / "emulator")
        rootfs.make(directory / "root")
    except rootfs.UnavailableError as error:
        sys.exit(f"no emulated board: {error}")
    if (reason := obstacle()) is not None:
        sys.exit(f"no emulated board: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        tempfile.TemporaryDirectory() as files,
        run_board(Path(files), directory / "root", emulator) as (_, server),
    ):
        sys.stdout.write(f"ssh -F {server.directory}/client -p {server.port} root@127.0.0.1\n")
        sys.stdout.flush()
        server.process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
