# SPDX-License-Identifier: Apache-2.0
"""What to measure: one test on one bundle with one number of threads. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edgeq.errors import EdgeqError
from edgeq_devices.conditions import processor_ranges
from edgeq_devices.power.source import Rails

SEED = 0
"""Seed of the random token ids; every repetition of every test draws from it anew."""


@dataclass(frozen=True)
class Test:
    """One row of the table, named as llama-bench names it.

    Attributes:
        prompt: Tokens processed as a prompt; for an encoder, the length of the sentence.
        generate: Tokens generated one at a time.
        depth: Tokens already in the context, not timed.
        encoder: The model is an encoder: one pass over ``prompt`` tokens.
    """

    __test__ = False  # not a test case of pytest

    prompt: int = 0
    generate: int = 0
    depth: int = 0
    encoder: bool = False

    @property
    def name(self) -> str:
        """``pp512``, ``tg128``, ``pp512+tg128``, ``tg128 @ d1024``; ``enc128`` for encoders."""
        if self.encoder:
            return f"enc{self.prompt}"
        parts = [f"{kind}{tokens}" for kind, tokens in (("pp", self.prompt), ("tg", self.generate)) if tokens]
        return "+".join(parts) + (f" @ d{self.depth}" if self.depth else "")

    @property
    def work(self) -> int:
        """Units of work in one repetition: tokens, or one sentence."""
        return 1 if self.encoder else self.prompt + self.generate

    @property
    def unit(self) -> str:
        """What the rate counts."""
        return "sentences/s" if self.encoder else "tokens/s"

    @property
    def context(self) -> int:
        """Positions of the context that the test fills."""
        return self.depth + self.prompt + self.generate

    def check_fits(self, context: int) -> None:
        """Checks that a model's context holds the test.

        Raises:
            EdgeqError: It does not.
        """
        if self.context > context:
            raise EdgeqError(
                "the test does not fit the model's context",
                field=self.name,
                found=f"{self.context} tokens",
                wanted=f"at most {context}",
            )


@dataclass(frozen=True)
class DecoderGraph:
    """Names and shapes of a decoder's graph, as the bundle's ``genai_config.json`` gives them.

    Attributes:
        input_ids: Input with the tokens.
        attention_mask: Input with the mask.
        position_ids: Input with the positions; ``None`` if there is none.
        logits: Output with the logits.
        past_key: Inputs with the keys, ``%d`` for the layer; the other three likewise.
        past_value: Inputs with the values.
        present_key: Outputs with the keys.
        present_value: Outputs with the values.
        layers: Number of layers.
        kv_heads: Heads of keys and values.
        head_size: Width of a head.
    """

    input_ids: str
    attention_mask: str
    position_ids: str | None
    logits: str
    past_key: str
    past_value: str
    present_key: str
    present_value: str
    layers: int
    kv_heads: int
    head_size: int


@dataclass(frozen=True)
class Model:
    """The bundle, as far as running it goes.

    Attributes:
        directory: Where it lies, on the machine that measures.
        file: Its graph's file there.
        vocabulary: Number of token ids.
        context: Tokens that it can hold.
        library: The operator library there; ``None`` if the graph needs none.
        decoder: Its graph's names and shapes; ``None`` for an encoder.
    """

    directory: str
    file: str = "model.onnx"
    vocabulary: int = 0
    context: int = 0
    library: str | None = None
    decoder: DecoderGraph | None = None


@dataclass(frozen=True)
class Job:
    """Everything that a worker process needs to know.

    Attributes:
        model: What to run.
        test: What to time.
        threads: Intra-operator threads of ONNX Runtime.
        repetitions: Timed repetitions.
        warmup: Run once untimed first: the whole prompt, or one generated token (as llama-bench does).
        seed: Seed of the random token ids.
        processors: Processors to run on; empty for all.
        holder: Who measures, for others who want to at the same time.
        idle_seconds: Time that the idle machine's power is measured for, before and after; 0 where power is not.
        sustain_seconds: Repeat for at least this long, however many repetitions that takes.
        operators: Also record the time of each operator, which makes the run slower.
        trace: Also send ONNX Runtime's whole trace.
        python: Interpreter that runs the model; ``None`` for the one that the agent runs in.
        lock: File that all measurements on the board lock; empty for one in edgeq's directory there.
        rails: Which rails of the board's shunts add up to what it draws; ``None`` where its description does not tell.
        pattern: Seconds of rest and load in turn to make before, for a meter in the supply that the host reads instead
            of the board's sensors; begins and ends with rest, empty for none.
    """

    model: Model
    test: Test
    threads: int
    repetitions: int = 5
    warmup: bool = True
    seed: int = SEED
    processors: tuple[int, ...] = ()
    holder: str = "edgeq"
    idle_seconds: float = 0.0
    sustain_seconds: float = 0.0
    operators: bool = False
    trace: bool = False
    python: str | None = None
    lock: str = ""
    rails: Rails | None = None
    pattern: tuple[float, ...] = ()

    @property
    def bundle(self) -> str:
        """Directory of the bundle."""
        return self.model.directory

    @property
    def name(self) -> str:
        """Test, threads and cores, for messages."""
        return f"{self.test.name}, {threads_and_cores(self.threads, self.processors)}"

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Reads what :meth:`to_json` wrote."""
        fields = json.loads(text)
        model = fields["model"]
        decoder = DecoderGraph(**model["decoder"]) if model["decoder"] else None
        rails = fields["rails"]
        return cls(
            **{
                **fields,
                "model": Model(**{**model, "decoder": decoder}),
                "test": Test(**fields["test"]),
                "processors": tuple(fields["processors"]),
                "pattern": tuple(fields["pattern"]),
                "rails": Rails(**{**rails, "names": tuple(rails["names"])}) if rails else None,
            }
        )


def threads_and_cores(threads: int, processors: Sequence[int]) -> str:
    """``1 thread``; ``2 threads on cores 0-1``."""
    cores = f" on cores {processor_ranges(processors)}" if processors else ""
    return f"{threads} thread{'s' if threads > 1 else ''}{cores}"


def plan(prompts: list[int], generates: list[int], depths: list[int], *, encoder: bool) -> list[Test]:
    """The tests for list-valued options: per depth every prompt length, then every generation length; no zeros."""
    if encoder:
        return [Test(prompt=prompt, encoder=True) for prompt in prompts if prompt]
    return [
        test
        for depth in depths
        for test in (
            *(Test(prompt=prompt, depth=depth) for prompt in prompts if prompt),
            *(Test(generate=generate, depth=depth) for generate in generates if generate),
        )
    ]
