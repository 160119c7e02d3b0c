# SPDX-License-Identifier: Apache-2.0
"""The worker on this machine: runs bundles through edgeq's runtime. Started as ``python -m edgeq_devices.local``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgeq.bundle.reader import Bundle, open_bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.encoder import OUTPUT, Encoder
from edgeq.runtime.loading import load_decoder
from edgeq.runtime.session import open_session
from edgeq_devices.job import Job
from edgeq_devices.measure import Tokens
from edgeq_devices.worker import LoadedModel, main
from edgeq_ops import instruction_sets

UNLIMITED = sys.maxsize


class DecoderModel:
    """A decoder bundle, fed with token ids; see :class:`edgeq_devices.measure.Model`."""

    def __init__(self, job: Job) -> None:
        model = load_decoder(job.bundle, job.threads, verify=False)
        self._graph, self._capacity = model.graph, job.test.context
        self.vocabulary, self.context = model.vocab_size, model.context_length
        self.instruction_set = _instruction_set(model.bundle)

    def reset(self) -> None:
        """Empties the context and makes room for the test."""
        self._graph.begin(0, self._capacity)

    def advance(self, tokens: Tokens) -> None:
        """Appends tokens; only the logits of the last are computed, as in generation and in llama-bench."""
        self._graph.last_logits(tokens)


class EncoderModel:
    """An encoder bundle, fed with one sentence of token ids at a time."""

    def __init__(self, job: Job) -> None:
        bundle = open_bundle(job.bundle, verify=False)
        self._session = open_session(bundle, job.threads)
        self._encoder = Encoder(bundle, self._session)
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]
        self.vocabulary = self._encoder.tokenizer.vocab_size
        self.context = self._encoder.max_tokens or UNLIMITED
        self.instruction_set = _instruction_set(bundle)

    def reset(self) -> None:
        """Sentences do not depend on each other."""

    def advance(self, tokens: Tokens) -> None:
        """Computes the vector of one sentence."""
        ids, mask = tokens[None], np.ones((1, len(tokens)), np.int64)
        positions = np.arange(len(tokens), dtype=np.int64)[None]
        feeds = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": positions,
        }
        hidden = self._session.run([OUTPUT], {name: feeds[name] for name in self._inputs})[0]
        self._encoder.pooling(np.asarray(hidden, np.float32), mask)


def _instruction_set(bundle: Bundle) -> str | None:
    return instruction_sets().selected if bundle.needs_operators else None


def load(job: Job) -> LoadedModel:
    """Loads a job's bundle; its hashes are taken to have been compared.

    Raises:
        EdgeqError: The bundle cannot be run.
    """
    if not Path(job.bundle).is_dir():
        raise EdgeqError("no such bundle", file=job.bundle)
    return EncoderModel(job) if job.test.encoder else DecoderModel(job)


if __name__ == "__main__":
    sys.exit(main(load))
