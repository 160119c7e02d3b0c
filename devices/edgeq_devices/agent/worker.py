# SPDX-License-Identifier: Apache-2.0
"""The process that runs the model: on the processors asked for, with nothing else in it."""

from __future__ import annotations

import os
import sys

from edgeq.errors import EdgeqError
from edgeq_devices.agent.model import load
from edgeq_devices.job import Job
from edgeq_devices.worker import LoadedModel, main


def work() -> None:
    """Measures the job on stdin; see :mod:`edgeq_devices.worker`."""
    sys.exit(main(_load_on_processors))


def _load_on_processors(job: Job) -> LoadedModel:
    if job.processors:
        try:
            os.sched_setaffinity(0, job.processors)
        except OSError as error:
            raise EdgeqError(
                "no such processors", field="--cores", found=str(list(job.processors)), wanted=_available()
            ) from error
    return load(job)


def _available() -> str:
    return f"some of {sorted(os.sched_getaffinity(0))}"
