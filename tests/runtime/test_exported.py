# SPDX-License-Identifier: Apache-2.0
"""Exported models generate what transformers generates, whatever the size of the prompt's chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from edgeq.runtime.loading import load_decoder
from edgeq.runtime.model import Model

torch = pytest.importorskip("torch")
TOLERANCE = 1e-4  # relative, float32 on both sides
PROMPT = [7, 30, 2, 61, 5, 5, 90, 11, 12, 13, 14]
NEW_TOKENS = 24


# A window of 6 is shorter than the prompt: chunks must not forget, nor remember, what lies before it.
@pytest.fixture(scope="module", params=["llama-tied", "mistral"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Model]:
    from edgeq.exporting import export
    from tests.export.tiny_models import VOCABULARY, tiny_model

    directory: Path = tmp_path_factory.mktemp(request.param)
    original = tiny_model(request.param)
    original.save_pretrained(directory / "checkpoint")
    words = Tokenizer(models.WordLevel({f"word{index}": index for index in range(VOCABULARY)}, "word0"))
    words.save(str(directory / "checkpoint" / "tokenizer.json"))
    export(directory / "checkpoint", directory / "bundle", scheme="fp32")
    return original, load_decoder(directory / "bundle", threads=1)


@pytest.mark.parametrize("chunk", [64, 4, 1])
def test_logits_and_greedy_tokens(exported: tuple[Any, Model], chunk: int) -> None:
    original, model = exported
    model.graph.chunk = model.graph.logits_chunk = chunk
    ids = torch.tensor([PROMPT])
    with torch.no_grad():
        logits = original(ids).logits[0].numpy()
        options = {"do_sample": False, "max_new_tokens": NEW_TOKENS, "eos_token_id": None, "pad_token_id": 0}
        tokens = original.generate(ids, **options)[0, len(PROMPT) :].tolist()
    np.testing.assert_allclose(model.logits(PROMPT), logits, atol=TOLERANCE * np.abs(logits).max())
    assert model.generate(PROMPT, max_new_tokens=NEW_TOKENS, ignore_eos=True).token_ids == tokens
