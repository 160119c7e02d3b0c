# SPDX-License-Identifier: Apache-2.0
"""From a bundle's path to something that runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar

from edgeq.bundle.reader import Bundle, open_bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.encoder import Encoder
from edgeq.runtime.model import Model
from edgeq.runtime.session import open_session

Kind = TypeVar("Kind", Model, Encoder)


def load(
    path: str | Path, threads: int | None = None, library: str | Path | None = None, verify: bool = True
) -> Model | Encoder:
    """Loads a bundle.

    Args:
        path: Its directory.
        threads: Threads of ONNX Runtime; by default one per physical core.
        library: An operator library to load instead of the installed one.
        verify: Check the hashes of all files; sizes and paths are checked in any case.

    Returns:
        A `Model` for a decoder, an `Encoder` for an encoder.

    Raises:
        EdgeqError: The bundle is damaged, cannot run here, or is neither.
    """
    start = time.perf_counter()
    bundle = open_bundle(path, verify)
    kinds: dict[str, type[Model] | type[Encoder]] = {"decoder": Model, "encoder": Encoder}
    if bundle.kind not in kinds:
        raise _wrong_kind(bundle, "decoder or encoder")
    model = kinds[bundle.kind](bundle, open_session(bundle, threads, library))
    model.load_seconds = time.perf_counter() - start
    return model


def load_decoder(
    path: str | Path, threads: int | None = None, library: str | Path | None = None, verify: bool = True
) -> Model:
    """As `load`, for decoders only.

    Raises:
        EdgeqError: As `load`; or it is another kind of model.
    """
    return _expect(Model, "decoder", load(path, threads, library, verify))


def load_encoder(
    path: str | Path, threads: int | None = None, library: str | Path | None = None, verify: bool = True
) -> Encoder:
    """As `load`, for encoders only.

    Raises:
        EdgeqError: As `load`; or it is another kind of model.
    """
    return _expect(Encoder, "encoder", load(path, threads, library, verify))


def _expect(wanted: type[Kind], name: str, model: Model | Encoder) -> Kind:
    if not isinstance(model, wanted):
        raise _wrong_kind(model.bundle, name)
    return model


def _wrong_kind(bundle: Bundle, wanted: str) -> EdgeqError:
    return EdgeqError("wrong kind of model", file=bundle.directory, field="kind", found=bundle.kind, wanted=wanted)
