# SPDX-License-Identifier: Apache-2.0
"""The agent's verbs. Each reads stdin, prints one JSON object, and ends; ``measure`` prints JSON lines."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq_devices.agent.lock import BusyError
from edgeq_devices.agent.store import Store, StoreError

Answer = dict[str, Any]
# Verbs import what they need: on a small board NumPy and ONNX Runtime take seconds to load.


def hello(root: Path) -> Answer:
    """What the board is."""
    from edgeq_devices.agent.identity import describe

    return describe(root)


def present(root: Path) -> Answer:
    """How much of each file is here: stdin holds a list of hashes."""
    store = Store(root)
    return {digest: store.present(digest) for digest in json.load(sys.stdin)}


def receive(root: Path) -> Answer:
    """Takes files, or the rest of them, from stdin: of each a JSON line (digest, size, offset) and its bytes."""
    store, stream = Store(root), sys.stdin.buffer
    received = 0
    while header := stream.readline(MAX_HEADER):
        file = json.loads(header)
        if store.receive(file["digest"], file["size"], file["offset"], stream) == file["size"]:
            received += 1
    return {"received": received}


def link(root: Path, name: str) -> Answer:
    """Makes a bundle of received files: stdin holds paths and hashes."""
    return {"directory": str(Store(root).link(name, json.load(sys.stdin)).resolve())}


def remove(root: Path, name: str) -> Answer:
    """Removes a bundle."""
    Store(root).remove(name)
    return {"removed": name}


def selftest(root: Path, library: str) -> Answer:
    """Runs the operators of a library and compares with float64."""
    from edgeq_devices.selftest.run import run_selftest
    from edgeq_ops.instruction_sets import instruction_sets

    sets = instruction_sets(Path(library))
    outcomes = [
        {"name": run.name, "tokens": run.tokens, "error": run.error, "passed": run.passed}
        for run in run_selftest(Path(library))
    ]
    return {"selected": sets.selected, "available": list(sets.available), "outcomes": outcomes}


def measure(root: Path) -> None:
    """Measures the job on stdin, which then carries heartbeats; events, and empty lines in between, go to stdout."""
    from edgeq_devices.agent.supervisor import supervise
    from edgeq_devices.agent.watchdog import beat

    beat(lambda: _write_line(""))
    supervise(root, sys.stdin.buffer, print_line)


def work(root: Path) -> None:
    """Runs the job on stdin: the process that the supervisor starts."""
    from edgeq_devices.agent.orphan import die_with_parent

    die_with_parent()  # before ONNX Runtime is imported, which takes seconds on a small board
    from edgeq_devices.agent.worker import work as run

    run()


def spin(root: Path) -> None:
    """Keeps a processor busy for the load pattern: what the supervisor starts for a meter in the supply."""
    from edgeq_devices.agent.pattern import spin as run

    run()


MAX_HEADER = 4096
_OUTPUT = threading.Lock()
VERBS: dict[str, Callable[..., Answer | None]] = {
    "hello": hello,
    "present": present,
    "receive": receive,
    "link": link,
    "selftest": selftest,
    "remove": remove,
    "measure": measure,
    "work": work,
    "spin": spin,
}


def print_line(answer: Answer) -> None:
    """One JSON object on a line of stdout, at once."""
    _write_line(json.dumps(answer))


def _write_line(line: str) -> None:
    with _OUTPUT:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Runs ``VERB ROOT ARGUMENTS…``; what the user can mend becomes ``{"error": …}`` and exit code 2.

    ``profile ARGUMENTS…`` is for people on the board itself (:mod:`edgeq_devices.agent.standalone`).
    """
    if len(arguments) < 2 or arguments[0] == "profile":
        return _standalone(arguments[1:])
    verb, root, *rest = arguments
    directory = Path(root).expanduser()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        answer = VERBS[verb](directory, *rest)
    except BusyError as error:
        print_line({"error": str(error), "busy": True})
        return 2
    except (StoreError, EdgeqError) as error:
        print_line({"error": str(error)})
        return 2
    except OSError as error:
        print_line({"error": f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")})
        return 2
    if answer is not None:
        print_line(answer)
    return 0


def _standalone(arguments: Sequence[str]) -> int:
    from edgeq_devices.agent import standalone

    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeq"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        standalone.main(root, arguments)
    except (BusyError, EdgeqError, OSError) as error:
        sys.stderr.write(f"edgeq: error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
