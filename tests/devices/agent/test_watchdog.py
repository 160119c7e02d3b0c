# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import select

import pytest

from edgeq_devices.agent.watchdog import SILENCE_SECONDS, beat, watch
from tests.devices.processes import PATIENCE


def test_a_closed_connection_is_noticed() -> None:
    read_end, write_end = os.pipe()
    reasons: list[str] = []
    with os.fdopen(read_end, "rb", 0) as stream:
        thread = watch(stream, reasons.append)
        os.write(write_end, b"\n\n")
        os.close(write_end)
        thread.join(PATIENCE)
    assert reasons == ["the connection was closed"]


def test_silence_is_noticed() -> None:
    read_end, write_end = os.pipe()
    reasons: list[str] = []
    with os.fdopen(read_end, "rb", 0) as stream:
        watch(stream, reasons.append, silence=0.05).join(PATIENCE)
    os.close(write_end)
    assert reasons == ["no heartbeat for 0 s"]


def test_every_heartbeat_begins_the_wait_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    reasons: list[str] = []
    waits: list[float] = []

    def three_heartbeats(readers: list[int], writers: list[int], others: list[int], seconds: float) -> object:
        waits.append(seconds)
        if len(waits) > 3:
            return [], [], []  # so long nothing came
        os.write(write_end, b"\n")
        return real(readers, writers, others, seconds)

    real = select.select
    with os.fdopen(read_end, "rb", 0) as stream, monkeypatch.context() as patch:
        patch.setattr(select, "select", three_heartbeats)
        watch(stream, reasons.append).join(PATIENCE)
    os.close(write_end)
    assert reasons == ["no heartbeat for 30 s"]
    assert waits == [SILENCE_SECONDS] * 4


def test_the_agent_beats_until_nobody_listens() -> None:
    sent: list[int] = []

    def send() -> None:
        sent.append(len(sent))
        if len(sent) == 3:
            raise BrokenPipeError

    beat(send, interval=0.01).join(PATIENCE)
    assert sent == [0, 1, 2]
