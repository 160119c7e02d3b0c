# SPDX-License-Identifier: Apache-2.0
"""A board with the agent on it: what it is, files on it, commands to it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgeq.errors import EdgeqError
from edgeq_devices.agent import PROTOCOL
from edgeq_devices.agent.store import BLOCK, RESERVE
from edgeq_devices.agent_file import build_agent
from edgeq_devices.answers import LINE_BYTES, number, parse_answer, text
from edgeq_devices.board_facts import BoardFacts, read_facts
from edgeq_devices.silence import SILENCE_SECONDS, SilenceGuard
from edgeq_devices.transports.base import COMMAND_SECONDS, Transport, last_line, last_words, run, start

# $1: directory, $2: file name; stdin: content. Complete files alone get their name; two hosts may send at once.
_PUT = 'umask 077; part="$1/.$2.$$"; mkdir -p "$1" && cat > "$part" && mv "$part" "$1/$2" || { rm -f "$part"; exit 1; }'
_HAS = 'test -f "$1"'
_FIND_PYTHON = 'for python in "$@"; do command -v "$python" && exit 0; done; exit 1'
GO_ON = "try again: it goes on where it ended"
SLOW_READ = 20e6  # bytes per second of a memory card
Sent = Callable[[int], None]


@dataclass(frozen=True)
class Transfer:
    """What is missing of a file on the board, from ``offset`` on."""

    path: Path
    digest: str
    size: int
    offset: int

    def write_to(self, stream: IO[bytes], sent: Sent) -> None:
        """Writes the header and the bytes that are missing, telling how many."""
        header = {"digest": self.digest, "size": self.size, "offset": self.offset}
        stream.write(json.dumps(header).encode() + b"\n")
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while block := file.read(BLOCK):
                stream.write(block)
                sent(len(block))


class Board:
    """A board that a transport reaches; sends the agent there where it is missing.

    Args:
        transport: The way to it; closed by the caller.
        python: Interpreter there; by default the one that ``edgeq devices setup`` made, else ``python3``.
        fresh: Look past the one that ``edgeq devices setup`` made.

    Attributes:
        python: Interpreter there.
        facts: What it says about itself.

    Raises:
        EdgeqError: It cannot be reached, has no Python, or its agent answers nonsense.
    """

    def __init__(self, transport: Transport, python: str | None = None, *, fresh: bool = False) -> None:
        self.transport, self.name = transport, transport.name
        self.python = python or self._find_python(*([] if fresh else [f"{transport.root}/venv/bin/python"]), "python3")
        self._agent = self._send_agent()
        answer = self.ask("hello")
        if (protocol := number(answer, "protocol", self.name)) != PROTOCOL:
            raise EdgeqError("wrong agent", field=self.name, found=protocol, wanted=f"protocol {PROTOCOL}")
        self.facts: BoardFacts = read_facts(answer, self.name)

    def command(self, verb: str, *arguments: str) -> list[str]:
        """The command of the board that runs a verb of the agent."""
        return [self.python, self._agent, verb, self.transport.root, *arguments]

    def ask(self, verb: str, *arguments: str, stdin: bytes = b"", timeout: float = COMMAND_SECONDS) -> dict[str, Any]:
        """Runs a verb to its end; its answer.

        Raises:
            EdgeqError: The connection failed, the agent refused, or it answered nonsense.
        """
        done = run(self.transport, self.command(verb, *arguments), stdin, timeout)
        lines = done.stdout.splitlines()
        if not lines:
            found = last_line(done.stderr.decode(errors="replace"))
            remedy = (
                f"give an interpreter with --python, or: edgeq devices setup {self.name}" if verb == "hello" else None
            )
            raise EdgeqError("the agent does not run", field=self.name, found=found, remedy=remedy)
        return self._answer(lines[-1])

    def send(self, files: Mapping[Path, str], sent: Sent = lambda count: None) -> None:
        """Sends the files that are not there yet, each from where an earlier transfer ended.

        Args:
            files: Paths and SHA-256 hashes.
            sent: Called with bytes that were there, then with those sent.

        Raises:
            EdgeqError: The connection failed, the disk is full, or a file arrived damaged.
        """
        hashes = json.dumps(sorted(set(files.values()))).encode()
        there = self.ask("present", stdin=hashes)
        transfers = []
        for digest, path in {digest: path for path, digest in files.items()}.items():
            size, offset = path.stat().st_size, int(number(there, digest, self.name))
            sent(min(offset, size))
            if offset < size or size == 0:
                transfers.append(Transfer(path, digest, size, offset))
        if transfers:
            self._check_space(sum(transfer.size - transfer.offset for transfer in transfers))
            self._send(transfers, sent)

    def _check_space(self, wanted: int) -> None:
        """Before anything is written; the agent checks again, file by file."""
        free = max(0, self.facts.disk_free - RESERVE)
        if wanted > free:
            raise EdgeqError(
                "disk full", field=self.name, found=f"{free} bytes free", wanted=wanted, remedy=self._space
            )

    @property
    def _space(self) -> str:
        """What mends a board that takes no files."""
        root = self.transport.root
        return (
            f"free some space there, or make {root} a link to a directory that can be written; all in it may be deleted"
        )

    def _send(self, transfers: list[Transfer], sent: Sent) -> None:
        # After each file the board is silent as long as it takes to read it again.
        patience = SILENCE_SECONDS + max(transfer.size for transfer in transfers) / SLOW_READ
        with (
            tempfile.TemporaryFile() as log,
            start(self.transport, self.command("receive"), log) as process,
            SilenceGuard(process, patience) as guard,
        ):

            def progress(count: int) -> None:
                guard.heard()
                sent(count)

            answers = _feed(process, transfers, progress)
            code = process.wait()
            words = last_words(log)
        if guard.expired:
            raise guard.error(self.name)
        if not answers:
            failure = self.transport.explain(code, words)
            raise failure or EdgeqError(
                "the transfer was cut off", field=self.name, found=last_line(words), remedy=GO_ON
            )
        received = number(self._answer(answers[-1]), "received", self.name)
        if received != len(transfers):
            wanted = f"{len(transfers)} files"
            found = f"{received:.0f} files"
            raise EdgeqError("the transfer was cut off", field=self.name, found=found, wanted=wanted, remedy=GO_ON)

    def _answer(self, line: bytes) -> dict[str, Any]:
        answer = parse_answer(line, self.name)
        if "error" in answer:
            raise EdgeqError(text(answer, "error", self.name), field=self.name)
        return answer

    def link(self, name: str, files: Mapping[str, str]) -> str:
        """Makes a bundle of files that were sent; its directory there."""
        answer = self.ask("link", name, stdin=json.dumps(dict(files)).encode())
        return text(answer, "directory", self.name)

    def _shell(self, script: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return run(self.transport, ["sh", "-c", script, "sh", *arguments], stdin)

    def _find_python(self, *candidates: str) -> str:
        done = self._shell(_FIND_PYTHON, *candidates)
        path = done.stdout.decode(errors="replace").strip()
        if done.returncode or not path:
            raise EdgeqError(
                "the board has no Python", field=self.name, wanted="python3 in its PATH", remedy="install it there"
            )
        return path.splitlines()[-1]

    def _send_agent(self) -> str:
        content = build_agent()
        directory, name = f"{self.transport.root}/agent", f"{hashlib.sha256(content).hexdigest()[:16]}.pyz"
        path = f"{directory}/{name}"
        if self._shell(_HAS, path).returncode:
            done = self._shell(_PUT, directory, name, stdin=content)
            if done.returncode:
                reason = last_line(done.stderr.decode(errors="replace"))
                raise EdgeqError(
                    "cannot write on the board", field=self.name, file=path, found=reason, remedy=self._space
                )
        return path


def _feed(process: subprocess.Popen[bytes], transfers: Sequence[Transfer], sent: Sent) -> list[bytes]:
    """Hands the files to the agent; its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for transfer in transfers:
            transfer.write_to(process.stdin, sent)
        process.stdin.close()
    except BrokenPipeError:  # the agent says why it stopped
        with suppress(BrokenPipeError):
            process.stdin.close()
    except BaseException:
        process.kill()
        raise
    answer = process.stdout.read(LINE_BYTES)
    process.stdout.close()  # whoever still writes is told so
    return answer.splitlines()


def hashes_of(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of files by their names relative to a directory."""
    return {name: _sha256(directory / name) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
