# SPDX-License-Identifier: Apache-2.0
"""``genai_config.json``: the part of onnxruntime-genai's configuration that running a decoder needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edgeq.errors import EdgeqError

GENAI_CONFIG_NAME = "genai_config.json"
MAX_JSON_BYTES = 64 << 20  # the largest tokenizer files are near 35 MB; anything larger is an attack

Positive = Annotated[int, Field(gt=0)]
TokenId = Annotated[int, Field(ge=0)]
LayerPattern = Annotated[str, Field(pattern=r"^[^%]*%d[^%]*$", description="a tensor name with %d for the layer")]
Model = TypeVar("Model", bound=BaseModel)


class _View(BaseModel):
    # Types are strict, unknown fields are onnxruntime-genai's own business.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class DecoderInputs(_View):
    """Names of the graph's inputs."""

    input_ids: str
    attention_mask: str
    position_ids: str | None = None
    past_key_names: LayerPattern
    past_value_names: LayerPattern


class DecoderOutputs(_View):
    """Names of the graph's outputs."""

    logits: str
    present_key_names: LayerPattern
    present_value_names: LayerPattern


class Decoder(_View):
    """The decoder graph: its file, its cache's shape and its tensor names."""

    filename: str
    head_size: Positive
    num_attention_heads: Positive
    num_hidden_layers: Positive
    num_key_value_heads: Positive
    inputs: DecoderInputs
    outputs: DecoderOutputs

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads is not a multiple of num_key_value_heads")
        return self


def as_list(value: object) -> object:
    """A single value as a list, ``None`` as an empty one: token ids are written in either way."""
    return value if isinstance(value, list) else [] if value is None else [value]


class ModelSection(_View):
    """The model: vocabulary, context and special tokens."""

    vocab_size: Positive
    context_length: Positive
    bos_token_id: TokenId | None = None
    eos_token_id: Annotated[list[TokenId], BeforeValidator(as_list)] = []
    decoder: Decoder


class Search(_View):
    """The model's preferred sampling."""

    do_sample: bool = False
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    past_present_share_buffer: bool = True


class GenaiConfig(_View):
    """The view of the whole file."""

    model: ModelSection
    search: Search = Search()


class GenerationConfig(_View):
    """The fields of ``generation_config.json`` that matter here; sampling is taken from ``genai_config.json``."""

    eos_token_id: Annotated[list[TokenId], BeforeValidator(as_list)] = []


def read_json_as(path: Path, kind: type[Model]) -> Model:
    """Reads a JSON file of a bundle as ``kind``.

    Raises:
        EdgeqError: The file is missing, too large, not JSON, or a field is missing or wrong; the field is named.
    """
    remedy = "export the bundle again"
    if not path.is_file():
        raise EdgeqError("missing file", file=path, remedy=remedy)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise EdgeqError(
            "file too large", file=path, found=path.stat().st_size, wanted=f"at most {MAX_JSON_BYTES} bytes"
        )
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise EdgeqError(
            first["msg"], file=path, field=field, found=repr(first["input"])[:80], remedy=remedy
        ) from error


def read_genai_config(directory: Path) -> GenaiConfig:
    """Reads ``genai_config.json``.

    Raises:
        EdgeqError: As `read_json_as`.
    """
    return read_json_as(directory / GENAI_CONFIG_NAME, GenaiConfig)
