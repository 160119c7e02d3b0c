# SPDX-License-Identifier: Apache-2.0
"""Result files: what ``edgeq profile --format json`` and ``edgeq eval --json`` wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edgeq.bundle.manifest import MANIFEST_NAME
from edgeq.errors import EdgeqError
from edgeq_devices.answers import printable, without_control
from edgeq_devices.job import threads_and_cores
from edgeq_devices.report.recorded import is_recorded, read_recorded

MAX_BYTES = 256 << 20
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(without_control)]


class _View(BaseModel):
    # A file may hold more than a report needs, and come from anywhere.
    model_config = ConfigDict(extra="ignore", frozen=True)


class EnergyView(_View):
    """Energy of a row; see :class:`edgeq_devices.energy.Energy`."""

    source: Text
    leaves_out: Text
    watts: Finite
    prompt_joules: Finite | None = None
    prompt_net_joules: Finite | None = None
    token_joules: Finite | None = None
    token_net_joules: Finite | None = None
    idle_watts: list[Finite] = []
    load_watts: Finite | None = None
    load_joules: Finite | None = None
    prompt_watts: Finite | None = None
    token_watts: Finite | None = None


class SustainedView(_View):
    """A sustained run: rates at the ends of repetitions, and the machine at times of its own."""

    seconds: list[Finite]
    ts: list[Finite]
    machine_seconds: list[Finite]
    temperature: list[Finite | None]
    clock: list[Finite | None]
    watts: list[Finite | None]


class Row(_View):
    """One measured test; names as in llama-bench."""

    model_filename: Text
    model_type: Text
    model_size: Count
    model_n_params: Count
    model_sha256: Text
    bits_per_weight: Finite
    device: Text
    board: Text
    cpu_info: Text | None
    instruction_set: Text | None
    n_threads: Count
    cpu_mask: list[Count] = []
    test: Text
    n_prompt: Count
    n_gen: Count
    n_depth: Count
    unit: Text
    avg_ns: Finite | None = None
    stddev_ns: Finite | None = None
    avg_ts: Positive
    stddev_ts: Finite
    samples_ts: Annotated[list[Positive], Field(min_length=1)]
    ttft_p50_ns: Finite | None = None
    ttft_p95_ns: Finite | None = None
    ttft_p99_ns: Finite | None = None
    tpot_p50_ns: Finite | None = None
    tpot_p95_ns: Finite | None = None
    tpot_p99_ns: Finite | None = None
    load_ns: Finite
    peak_anonymous: Finite
    peak_file_backed: Finite
    energy: EnergyView | None = None
    sustained: SustainedView | None = None
    energy_missing: Text | None = None
    flags: list[Text]

    @property
    def key(self) -> tuple[str, int, tuple[int, ...]]:
        """What makes two rows comparable: test, threads and cores."""
        return self.test, self.n_threads, tuple(self.cpu_mask)

    @property
    def machine(self) -> str:
        """Device, threads and cores."""
        return f"{self.device}, {threads_and_cores(self.n_threads, self.cpu_mask)}"

    @property
    def where(self) -> str:
        """The row, for messages."""
        return f"{self.model_filename}, {self.test}, {self.machine}"


class ModelView(_View):
    """The measured bundle."""

    name: Text
    scheme: Text
    kind: Text


class Profile(_View):
    """What ``edgeq profile`` wrote."""

    model: ModelView
    device: Text
    board: Text
    conditions: dict[str, Any] | None
    results: list[Row]


class QualityView(_View):
    """Loss of a decoder."""

    loss: Finite
    perplexity: Finite
    bits_per_byte: Finite


class ComparisonView(_View):
    """A decoder beside its original."""

    loss_difference: Finite
    kl_divergence: Finite
    top1_agreement: Finite


class SimilarityView(_View):
    """An encoder on pairs of sentences."""

    spearman: Finite
    reference_spearman: Finite | None = None
    mean_cosine: Finite | None = None


class Evaluation(_View):
    """What ``edgeq eval`` wrote, of a decoder (quality) or an encoder (similarity)."""

    bundle: Text
    scheme: Text
    model_sha256: Text
    text: Text | None = None
    pairs_file: Text | None = None
    quality: QualityView | None = None
    comparison: ComparisonView | None = None
    similarity: SimilarityView | None = None


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of."""

    profiles: tuple[Profile, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def rows(self) -> list[Row]:
        """All rows of all profiles."""
        return [row for profile in self.profiles for row in profile.results]

    def evaluation_of(self, model_sha256: str) -> Evaluation | None:
        """The evaluation of a bundle, found by the hash of its manifest."""
        return next((found for found in self.evaluations if found.model_sha256 == model_sha256), None)


def load_results(paths: Sequence[Path]) -> Results:
    """Reads result files; of a directory, all its ``.json`` files but those of bundles in it.

    Raises:
        EdgeqError: There is none, or one is neither a profile nor an evaluation.
    """
    files = [file for path in paths for file in (_result_files(path) if path.is_dir() else [path])]
    if not files:
        raise EdgeqError("no results", file=paths[0] if paths else None, wanted="files of edgeq profile --format json")
    once = {file.resolve(): file for file in files}
    documents = [load_document(file) for file in once.values()]
    return Results(
        tuple(document for document in documents if isinstance(document, Profile)),
        tuple(document for document in documents if isinstance(document, Evaluation)),
    )


def _result_files(directory: Path) -> list[Path]:
    files = sorted(directory.glob("**/*.json"))
    bundles = [file.parent for file in files if file.name == MANIFEST_NAME]
    return [file for file in files if not any(file.is_relative_to(bundle) for bundle in bundles)]


def load_document(path: Path) -> Profile | Evaluation:
    """Reads one result file.

    Raises:
        EdgeqError: It cannot be read, is too large, or is neither a profile nor an evaluation.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise EdgeqError("file too large", file=path, wanted=f"at most {MAX_BYTES} bytes")
        content = json.loads(path.read_bytes(), parse_constant=_refuse)
    except OSError as error:
        raise EdgeqError("cannot be read", file=path, found=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise EdgeqError("not a result file", file=path, found=printable(str(error)), wanted="JSON") from error
    if is_recorded(content):
        content = read_recorded(path)
    kind = Profile if isinstance(content, dict) and "results" in content else Evaluation
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise EdgeqError(
            f"not a result file ({first['msg']})",
            file=path,
            field=".".join(map(str, first["loc"])) or None,
            found=printable(repr(first["input"]))[:80],
            wanted="what edgeq profile --format json or edgeq eval --json wrote",
        ) from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
