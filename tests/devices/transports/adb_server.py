# SPDX-License-Identifier: Apache-2.0
"""An adb server with one device, which is this machine: as much of the protocol as ``adb shell`` uses.

Source: Android's documents OVERVIEW.TXT, SERVICES.TXT and the shell protocol's header (packages of an id, a length of
four bytes and data).
"""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SERIAL = "board-1"
FEATURES = "shell_v2,cmd"
_TRANSPORTS = {f"host:tport:serial:{SERIAL}", f"host:transport:{SERIAL}", "host:tport:any", "host:transport-any"}
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)


class _Connection(socketserver.BaseRequestHandler):
    server: AdbServer

    def handle(self) -> None:
        while request := self._request():
            self.server.requests.append(request)
            if request.startswith("shell,v2"):
                self._okay()
                self._shell(request.partition(":")[2])
                break
            if not self._answer(request):
                break

    def _request(self) -> str:
        length = self._read(4)
        return self._read(int(length, 16)).decode() if length else ""

    def _answer(self, request: str) -> bool:
        """Answers a request of the host; whether the connection goes on."""
        if request == "host:version":
            self._text(f"{self.server.version:04x}")
        elif request in ("host:features", "host:host-features") or request.endswith(":features"):
            self._text(self.server.features)
        elif request in _TRANSPORTS:
            self._okay()
            if "tport" in request:
                self.request.sendall(struct.pack("<Q", 1))  # the transport's number
            return True
        else:
            self._fail(f"device '{request.rpartition(':')[2]}' not found")
        return False

    def _shell(self, command: str) -> None:
        with subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            self.server.sessions.append((self.request, process))
            lock = threading.Lock()
            pumps = [
                threading.Thread(target=self._pump, args=(stream, kind, lock))
                for stream, kind in ((process.stdout, _STDOUT), (process.stderr, _STDERR))
            ]
            for pump in pumps:
                pump.start()
            feeder = threading.Thread(target=self._feed, args=(process,), daemon=True)
            feeder.start()
            for pump in pumps:
                pump.join()
            self._packet(_EXIT, bytes([process.wait() & 0xFF]), lock)
            with suppress(OSError):  # the device has gone
                self.request.shutdown(socket.SHUT_RDWR)
            feeder.join()

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """Packets of stdin, until the client closes it or goes away."""
        assert process.stdin is not None
        try:
            while header := self._read(5):
                kind, length = struct.unpack("<BI", header)
                data = self._read(length)
                if kind == _CLOSE_STDIN:
                    break
                process.stdin.write(data)
                process.stdin.flush()
        except OSError:
            pass
        finally:
            process.stdin.close()

    def _pump(self, stream: object, kind: int, lock: threading.Lock) -> None:
        while data := stream.read1(1 << 16):  # type: ignore[attr-defined]
            self._packet(kind, data, lock)

    def _packet(self, kind: int, data: bytes, lock: threading.Lock) -> None:
        with lock:
            try:
                self.request.sendall(struct.pack("<BI", kind, len(data)) + data)
            except OSError:
                return  # the client has gone

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.request.recv(count - len(data))
            if not part:
                return b""
            data += part
        return data

    def _okay(self) -> None:
        self.request.sendall(b"OKAY")

    def _text(self, text: str) -> None:
        self.request.sendall(b"OKAY" + f"{len(text):04x}{text}".encode())

    def _fail(self, reason: str) -> None:
        self.request.sendall(b"FAIL" + f"{len(reason):04x}{reason}".encode())


class AdbServer(socketserver.ThreadingTCPServer):
    """The server; it says that it is of the client's version, or the client would replace it."""

    daemon_threads = True

    def __init__(self, version: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.version, self.features = version, FEATURES
        self.requests: list[str] = []
        self.sessions: list[tuple[socket.socket, subprocess.Popen[bytes]]] = []

    def reboot(self) -> None:
        """What runs on the device ends, and its connections with it, without a word."""
        for connection, process in self.sessions:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.sessions.clear()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def run_adb_server(version: int) -> Iterator[AdbServer]:
    with AdbServer(version) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
