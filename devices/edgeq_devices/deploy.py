# SPDX-License-Identifier: Apache-2.0
"""A bundle on a board: its files sent once, linked into a directory there, with the operators for that platform."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from edgeq.bundle.manifest import MANIFEST_NAME
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.encoder import max_tokens
from edgeq.runtime.tokenizer import Tokenizer
from edgeq_devices.agent.bundle import decoder_graph
from edgeq_devices.board import Board, hashes_of
from edgeq_devices.job import Model

LIBRARY = "lib/libedgeq_ops.so"
Report = Callable[[str, int, int], None]


def deploy(board: Board, bundle: Bundle, library: Path | None, progress: Report = lambda *_: None) -> Model:
    """Sends a bundle; what it needs to run there.

    Args:
        board: Where to.
        bundle: Its hashes have been compared.
        library: Operators for the board's platform; ``None`` if the graph needs none.
        progress: Called with ``"deploy"``, bytes on the board and bytes in all.

    Raises:
        EdgeqError: The connection failed, the disk is full, or a file arrived damaged.
    """
    names = [name for name in bundle.manifest.files if not name.startswith("lib/")]
    digests = {name: bundle.manifest.files[name].sha256 for name in names}
    digests |= hashes_of(bundle.directory, [MANIFEST_NAME])
    files = {bundle.directory / name: digest for name, digest in digests.items()}
    if library is not None:
        digests[LIBRARY] = hashes_of(library.parent, [library.name])[library.name]
        files[library] = digests[LIBRARY]
    total, arrived = sum(path.stat().st_size for path in files), 0

    def sent(count: int) -> None:
        nonlocal arrived
        arrived += count
        progress("deploy", arrived, total)

    board.send(files, sent)
    directory = board.link(f"{digests[MANIFEST_NAME][:16]}", digests)
    return model_of(bundle, directory, f"{directory}/{LIBRARY}" if library is not None else None)


def model_of(bundle: Bundle, directory: str, library: str | None) -> Model:
    """What running a bundle needs, where it lies in ``directory`` with its operators at ``library``.

    Raises:
        EdgeqError: It is neither a decoder that extends its cache in place, nor an encoder.
    """
    genai = bundle.genai
    if bundle.kind == "graph" or (genai and not genai.search.past_present_share_buffer):
        wanted = "a decoder with a shared cache, or an encoder"
        raise EdgeqError("cannot be profiled", file=bundle.directory, field="kind", found=bundle.kind, wanted=wanted)
    if genai is None:
        return Model(directory, bundle.manifest.model, *_encoder_limits(bundle), library)
    section, graph = genai.model, decoder_graph(genai.model.model_dump())
    return Model(directory, bundle.manifest.model, section.vocab_size, section.context_length, library, graph)


def _encoder_limits(bundle: Bundle) -> tuple[int, int]:
    return Tokenizer.from_bundle(bundle).vocab_size, max_tokens(bundle) or sys.maxsize
