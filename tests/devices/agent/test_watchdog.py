# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from edgeq_devices.agent.watchdog import beat, watch


def test_a_closed_connection_is_noticed() -> None:
    read_end, write_end = os.pipe()
    reasons: list[str] = []
    with os.fdopen(read_end, "rb", 0) as stream:
        thread = watch(stream, reasons.append)
        os.write(write_end, b"\n\n")
        os.close(write_end)
        thread.join(10)
    assert reasons == ["the connection was closed"]


def test_silence_is_noticed_and_heartbeats_prevent_it() -> None:
    read_end, write_end = os.pipe()
    reasons: list[str] = []
    with os.fdopen(read_end, "rb", 0) as stream:
        thread = watch(stream, reasons.append, silence=0.4)
        for _ in range(4):
            thread.join(0.15)
            assert reasons == []
            os.write(write_end, b"\n")
        thread.join(10)
    os.close(write_end)
    assert reasons == ["no heartbeat for 0 s"]


def test_the_agent_beats_until_nobody_listens() -> None:
    sent: list[int] = []

    def send() -> None:
        sent.append(len(sent))
        if len(sent) == 3:
            raise BrokenPipeError

    beat(send, interval=0.01).join(10)
    assert sent == [0, 1, 2]
