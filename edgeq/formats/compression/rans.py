# SPDX-License-Identifier: Apache-2.0
"""Codec "rans": order-0 range asymmetric numeral systems, 16 interleaved states per block, one table per matrix.

Source: J. Duda, arXiv 1311.2540; the variant with 32-bit states and 16-bit words is that of F. Giesen, arXiv 1402.3392.
All blocks and states of a matrix advance together, one NumPy operation each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.formats.compression.container import wrong
from edgeq.formats.layout import Bytes

LANES = 16  # symbol i of a block belongs to state i mod 16
SCALE_BITS = 12
SCALE = 1 << SCALE_BITS
LEAST_STATE = 1 << 16
STATE_BYTES = 4 * LANES

Words = NDArray[np.uint32]


def frequencies(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integer frequencies ``[256]`` with sum 4096 and least code length; at least 1 where the histogram is not 0.

    No frequency is 4096, which a state could not hold: a lone symbol is given a companion.
    """
    histogram = histogram.copy()
    if np.count_nonzero(histogram) == 1:
        histogram[(int(histogram.argmax()) + 1) % 256] = 1
    out = np.where(histogram > 0, np.maximum(1, histogram * SCALE // max(1, histogram.sum())), 0)
    while (missing := SCALE - int(out.sum())) != 0:
        step = 1 if missing > 0 else -1
        cost = np.full(256, np.inf)
        movable = (out > 0) & (out + step > 0)
        counts = out[movable].astype(np.float64)
        cost[movable] = histogram[movable] * np.log2(counts / (counts + step))
        out[int(cost.argmin())] += step
    return out


def write_table(histogram: NDArray[np.int64]) -> bytes:
    """The table: a bit for each symbol that occurs, then their frequencies as uint16."""
    counts = frequencies(histogram)
    return np.packbits(counts > 0, bitorder="little").tobytes() + counts[counts > 0].astype("<u2").tobytes()


def read_table(table: bytes) -> NDArray[np.int64]:
    """The frequencies ``[256]`` of a table.

    Raises:
        EdgeqError: The table's size or the sum of its frequencies is wrong.
    """
    used = np.unpackbits(np.frombuffer(table[:32].ljust(32, b"\0"), np.uint8), bitorder="little").astype(bool)
    if len(table) != 32 + 2 * int(used.sum()):
        raise wrong("wrong size of the table", f"{len(table)} bytes", f"{32 + 2 * int(used.sum())}")
    counts = np.zeros(256, np.int64)
    counts[used] = np.frombuffer(table, "<u2", offset=32)
    if counts.sum() != SCALE or not (counts[used] > 0).all() or counts.max() >= SCALE:
        raise wrong("wrong frequencies", f"sum {counts.sum()}", f"positive ones with sum {SCALE}")
    return counts


def encode(table: bytes, codes: list[Bytes]) -> list[bytes]:
    """The states and words of each block. All blocks but the last, which may be shorter, have the same size."""
    counts = read_table(table)
    symbols, steps = _by_step(codes)
    limits = (counts << 32 - SCALE_BITS).astype(np.uint32)
    rest = (SCALE - counts).astype(np.uint32)
    starts = (np.cumsum(counts) - counts).astype(np.uint32)
    divisors = np.maximum(counts, 1).astype(np.uint32)
    states = np.full(symbols.shape[1], LEAST_STATE, np.uint32)
    emitted, words = np.zeros(symbols.shape, bool), np.empty(symbols.shape, np.uint16)
    for step in range(len(symbols) - 1, -1, -1):
        active = _active(symbols.shape[1], step, steps)
        symbol, x = symbols[step, :active].astype(np.intp), states[:active]
        full = np.greater_equal(x, limits[symbol], out=emitted[step, :active])
        words[step, :active] = x  # the low half
        x >>= full.view(np.uint8) << 4
        quotient = x // divisors[symbol]
        quotient *= rest[symbol]
        x += quotient
        x += starts[symbol]
    return [
        states[lanes].astype("<u4").tobytes() + words[:, lanes][emitted[:, lanes]].astype("<u2").tobytes()
        for lanes in (slice(first, first + LANES) for first in range(0, len(states), LANES))
    ]


def decode(table: bytes, streams: list[Bytes], sizes: list[int]) -> list[Bytes]:
    """The codes of each block, ``sizes`` bytes each: the inverse of `encode`.

    Raises:
        EdgeqError: A block has too few or too many bytes, or does not end in the state that encoders start from.
    """
    counts = read_table(table)
    symbol_at = np.repeat(np.arange(256, dtype=np.uint8), counts)
    count_at = np.repeat(counts, counts).astype(np.uint32)
    offset_at = (np.arange(SCALE) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.uint32)
    states, words, next_word, ends = _open(streams)
    steps = [size // LANES for size in sizes]
    out = np.empty((steps[0], len(streams), LANES), np.uint8)
    for step in range(steps[0]):
        active = _active(len(streams), step, steps, 1)
        x, position = states[:active], next_word[:active]
        slot = x & np.uint32(SCALE - 1)
        out[step, :active] = symbol_at[slot]
        x >>= np.uint32(SCALE_BITS)
        x *= count_at[slot]
        x += offset_at[slot]
        low = x < LEAST_STATE
        order = np.cumsum(low, axis=1)
        x[low] = x[low] << np.uint32(16) | words[np.minimum(position[:, None] + order - 1, ends[:active, None])[low]]
        position += order[:, -1]
    if not (states == LEAST_STATE).all() or not (next_word == ends).all():
        raise wrong("block does not decode", "another final state", "a block that an encoder wrote")
    return [out[:count, block].reshape(-1) for block, count in enumerate(steps)]


def _by_step(codes: list[Bytes]) -> tuple[Bytes, list[int]]:
    """Symbols ``[steps, blocks · 16]`` and the number of steps of each block."""
    steps = [len(block) // LANES for block in codes]
    symbols = np.zeros((steps[0], len(codes), LANES), np.uint8)
    for block, count in enumerate(steps):
        symbols[:count, block] = codes[block].reshape(count, LANES)
    return symbols.reshape(steps[0], -1), steps


def _active(width: int, step: int, steps: list[int], unit: int = LANES) -> int:
    """How much of the width has this step: all of it, or all but the last block."""
    return width if step < steps[-1] else width - unit


def _open(streams: list[Bytes]) -> tuple[Words, Words, NDArray[Any], NDArray[Any]]:
    """States ``[blocks, 16]``; all words, one more at the end; first word and end of each block."""
    for stream in streams:
        if len(stream) < STATE_BYTES or len(stream) % 2:
            raise wrong("wrong size of a block", f"{len(stream)} bytes", f"an even number from {STATE_BYTES} on")
    states = np.stack([stream[:STATE_BYTES].copy().view("<u4") for stream in streams])
    words = np.concatenate([*(stream[STATE_BYTES:] for stream in streams), np.zeros(2, np.uint8)]).view("<u2")
    ends = np.cumsum([(len(stream) - STATE_BYTES) // 2 for stream in streams])
    first = np.concatenate([[0], ends[:-1]])
    return states.astype(np.uint32), words.astype(np.uint32), first, ends
