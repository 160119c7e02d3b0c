# SPDX-License-Identifier: Apache-2.0
"""Tables on disk, each under the fingerprint of all that it depends on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeq.allocation.sensitivity.errors import measuring_pipeline
from edgeq.allocation.sensitivity.measure import Question, measure_table
from edgeq.allocation.sensitivity.noise import LEVELS
from edgeq.allocation.sensitivity.probe import TOKENS
from edgeq.allocation.sensitivity.table import SensitivityTable
from edgeq.errors import EdgeqError
from edgeq.progress import Progress
from edgeq.quantization.work_directory import Fingerprint, library_versions

logger = logging.getLogger(__name__)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: Fingerprint
    table: SensitivityTable


def default_cache() -> Path:
    """``edgeq/sensitivities`` in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeq" / "sensitivities"


def fingerprint(question: Question) -> Fingerprint:
    """All that a table depends on."""
    calibration = question.calibration
    return {
        "model": question.checkpoint.content_fingerprint,
        "method": measuring_pipeline(question.plan, observed=calibration is not None).describe(),
        "candidates": ",".join(map(str, question.candidates)),
        "kind": question.kind,
        "calibration": "random tokens" if calibration is None else calibration.data.fingerprint,
        "layers": "all" if question.layers is None else ",".join(sorted(question.layers)),
        "noise": f"{LEVELS}, {TOKENS} tokens",
        **library_versions(),
    }


def cached_table(question: Question, directory: Path, progress: Progress | None = None) -> SensitivityTable:
    """The table of a question: from the cache, or measured and put there. A damaged entry is measured again.

    Args:
        question: What to measure.
        directory: The cache.
        progress: As in `measure_table`.

    Raises:
        EdgeqError: As `measure_table`, or the cache cannot be written.
    """
    key = fingerprint(question)
    path = directory / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]}.json"
    found = _read(path, key)
    if found is None:
        found = measure_table(question, progress)
        _write(path, _Entry(fingerprint=key, table=found))
    return found


def _read(path: Path, key: Fingerprint) -> SensitivityTable | None:
    try:
        entry = _Entry.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        logger.warning("%s: measured again, since it cannot be read (%s)", path, str(error).splitlines()[0])
        return None
    return entry.table if entry.fingerprint == key else None


def _write(path: Path, entry: _Entry) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(entry.model_dump_json(indent=1), encoding="utf-8")
        partial.rename(path)
    except OSError as error:
        raise EdgeqError(
            f"cannot keep sensitivities ({error.strerror})", file=path, remedy="name another --cache"
        ) from error
