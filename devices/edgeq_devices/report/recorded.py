# SPDX-License-Identifier: Apache-2.0
"""What a board measured by itself (:mod:`edgeq_devices.agent.standalone`), checked and made into a profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edgeq.errors import EdgeqError
from edgeq_devices.agent.standalone import FORMAT
from edgeq_devices.answers import parse_answer, printable
from edgeq_devices.board_facts import read_facts
from edgeq_devices.events import parse_events
from edgeq_devices.job import Job
from edgeq_devices.results import Measurement, ModelFacts
from edgeq_devices.rows import Report
from edgeq_devices.session import kind_of, rails_of


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Recorded(_Strict):
    job: Job
    events: list[dict[str, Any]]


class _Document(_Strict):
    edgeq_events: Literal[1]
    model: ModelFacts
    device: Annotated[str, Field(min_length=1, max_length=200)]
    board: dict[str, Any]
    measurements: Annotated[list[_Recorded], Field(min_length=1)]


_ADAPTER = TypeAdapter(_Document)


def is_recorded(content: object) -> bool:
    """Whether a file's content is such a document."""
    return isinstance(content, dict) and "edgeq_events" in content


def read_recorded(path: Path) -> dict[str, Any]:
    """The document of ``edgeq profile --format json`` that the events amount to.

    Raises:
        EdgeqError: A field or an event is missing, unknown or wrong.
    """
    try:
        document = _ADAPTER.validate_python(parse_answer(path.read_bytes(), str(path)))
    except ValidationError as error:
        first = error.errors()[0]
        field = printable(".".join(map(str, first["loc"])))
        wanted = f"what profile.pyz wrote (format {FORMAT})"
        raise EdgeqError(f"not a result file ({first['msg']})", file=path, field=field, wanted=wanted) from error
    kind = kind_of(read_facts(document.board, str(path)))
    rails = rails_of(kind)
    rows = []
    for recorded in document.measurements:
        row = Measurement.of(recorded.job, parse_events(recorded.events, str(path)), device=str(path))
        rows.append(row.with_rails(rails) if rails else row)
    return Report(document.model, document.device, kind, tuple(rows)).to_json()
