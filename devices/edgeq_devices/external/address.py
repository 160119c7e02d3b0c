# SPDX-License-Identifier: Apache-2.0
"""``--power``: the board's sensors, or a meter in its supply."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from edgeq.errors import EdgeqError
from edgeq_devices.external.recording import AMPERES, TIME, VOLTS, WATTS

SCHEME = "external:"
WANTED = f"auto, none, {SCHEME}FILE.csv or {SCHEME}/dev/ttyUSB0?baud=115200&columns={VOLTS},{AMPERES}"


@dataclass(frozen=True)
class MeterAddress:
    """A meter in the board's supply.

    Attributes:
        path: A serial port, or the file that the recording is written to.
        baud: Of the port.
        columns: Of the port's lines; empty where a line of the port itself names them, or there is one number per line.
        wait: Seconds to wait for the file to cover the measurement.
    """

    path: Path
    baud: int = 115200
    columns: tuple[str, ...] = ()
    wait: float = 60.0

    @property
    def is_port(self) -> bool:
        """Whether it is a device that is read as lines arrive."""
        return self.path.is_char_device()


def parse_power(text: str) -> MeterAddress | bool:
    """``auto`` is true, ``none`` false.

    Raises:
        EdgeqError: It is neither of them nor a meter.
    """
    if text in ("auto", "none"):
        return text == "auto"
    if not text.startswith(SCHEME) or text == SCHEME:
        raise EdgeqError("unknown power source", field="--power", found=repr(text), wanted=WANTED)
    path, _, query = text.removeprefix(SCHEME).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := options.keys() - {"baud", "columns", "wait"}:
        raise EdgeqError("unknown option", field="--power", found=min(unknown), wanted="baud, columns or wait")
    try:
        address = MeterAddress(
            Path(path),
            int(options.get("baud", MeterAddress.baud)),
            tuple(filter(None, options.get("columns", "").split(","))),
            float(options.get("wait", MeterAddress.wait)),
        )
    except ValueError as error:
        raise EdgeqError("not a number", field="--power", found=str(error), wanted=WANTED) from error
    return _checked(address)


def _checked(address: MeterAddress) -> MeterAddress:
    if unknown := [name for name in address.columns if name not in (TIME, WATTS, VOLTS, AMPERES, "-")]:
        wanted = f"{TIME}, {WATTS}, {VOLTS}, {AMPERES}, or - for another"
        raise EdgeqError("unknown column", field="--power", found=unknown[0], wanted=wanted)
    if str(address.path).startswith("/dev/") and not address.path.exists():
        raise EdgeqError("no such port", file=address.path, remedy="is the meter plugged in? ls /dev/tty*")
    if not address.path.parent.is_dir():
        raise EdgeqError("no such directory", file=address.path.parent, field="--power")
    return address
