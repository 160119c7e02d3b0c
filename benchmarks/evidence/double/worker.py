# SPDX-License-Identifier: Apache-2.0
"""One bundle in a process of its own: loads it, reads a prompt, generates, and prints what that took as JSON.

    python worker.py BUNDLE PROMPT GENERATED THREADS [LIMIT]

LIMIT is how many bytes of addresses the process may have beyond those before loading (RLIMIT_AS, ulimit -v), in which a
memory-mapped file counts as fully as what is allocated.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.runtime.loading import load_decoder
from edgeq_devices.memory import read_memory

WARM_UP = 2  # tokens


def run(bundle: Path, prompt: int, generated: int, threads: int) -> dict[str, Any]:
    """Times, and resident memory beyond that before loading, anonymous and file-backed apart."""
    before, start = read_memory(), time.perf_counter()
    model = load_decoder(bundle, threads, verify=False)
    loaded = time.perf_counter() - start
    ids = np.random.default_rng(0).integers(0, model.vocab_size, prompt + generated + WARM_UP, dtype=np.int64)
    model.graph.begin(0, len(ids))
    model.graph.last_logits(ids[:WARM_UP])
    prompt_seconds = _time(lambda: model.graph.last_logits(ids[WARM_UP : WARM_UP + prompt])) if prompt else 0.0
    rest = ids[WARM_UP + prompt :]
    seconds = _time(lambda: [model.graph.last_logits(rest[i : i + 1]) for i in range(len(rest))])
    after = read_memory()
    return {
        "load_seconds": loaded,
        "prompt_tokens_per_second": prompt / prompt_seconds if prompt else None,
        "tokens_per_second": generated / seconds,
        "anonymous": after.anonymous - before.anonymous,
        "file_backed": after.file_backed - before.file_backed,
    }


def _time(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def limit_addresses(room: int) -> None:
    """Lets the process have so many bytes of addresses beyond those that it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    bundle, prompt, generated, threads, *limit = sys.argv[1:]
    if limit:
        limit_addresses(int(limit[0]))
    try:
        result = run(Path(bundle), int(prompt), int(generated), int(threads))
    except Exception as error:  # noqa: BLE001  # what a lack of memory ends in depends on who asked for it
        result = {"error": " ".join(str(error).split())[:300] or type(error).__name__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
