# SPDX-License-Identifier: Apache-2.0
"""A sweep: its recipe, its steps, and which of them are done. Every result is a file; a file that exists is done."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeq.cli.console import write_file
from edgeq.errors import EdgeqError
from edgeq.progress import Progress

Names = Annotated[list[str], Field(min_length=1)]
Counts = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


WAIT_SECONDS = 3600.0  # two devices may be one board


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProfileSection(_Strict):
    """How every bundle is measured; as the options of ``edgeq profile``, ``power`` for each device that has a meter."""

    devices: Names = ["local"]
    threads: list[Annotated[int, Field(ge=1)]] = []
    cores: Names = ["all"]
    n_prompt: Counts = [512]
    n_gen: Counts = [128]
    depth: Counts = [0]
    repetitions: Annotated[int, Field(ge=1)] = 5
    cool_down: float | None = None
    power: dict[str, str] = {}

    @model_validator(mode="after")
    def _check_power(self) -> ProfileSection:
        if unknown := self.power.keys() - set(self.devices):
            raise ValueError(f"power of {min(unknown)}, which is none of the devices")
        return self


class EvaluationSection(_Strict):
    """How every bundle is evaluated; as the options of ``edgeq eval``."""

    text: Path | None = None
    sts: Path | None = None
    window: int | None = None
    windows: int | None = None
    against: str | None = None


class SweepRecipe(_Strict):
    """What ``edgeq sweep`` does.

    Attributes:
        title: Of the page.
        models: Checkpoints.
        schemes: Scheme strings.
        export: Further fields of an export recipe, the same for all.
        profile: How bundles are measured.
        eval: How they are evaluated; not at all if it is missing.
    """

    title: str = "edgeq sweep"
    models: Names
    schemes: Names
    export: dict[str, Any] = {}
    profile: ProfileSection = ProfileSection()
    eval: EvaluationSection | None = None


def read_sweep(path: Path) -> SweepRecipe:
    """Reads a recipe.

    Raises:
        EdgeqError: It is not TOML, or a field is missing, unknown or wrong.
    """
    try:
        return SweepRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise EdgeqError("cannot be read", file=path, found=error.strerror) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EdgeqError("not TOML", file=path, found=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        field, found = ".".join(map(str, first["loc"])), repr(first["input"])[:80]
        raise EdgeqError(f"wrong recipe ({first['msg']})", file=path, field=field, found=found) from error


@dataclass(frozen=True)
class Step:
    """One file to make.

    Attributes:
        name: For the user.
        result: Its file or directory.
        make: Makes it.
        needs: The bundle that it is made from.
    """

    name: str
    result: Path
    make: Callable[[Progress], None]
    needs: Path | None = None

    @property
    def done(self) -> bool:
        """Whether it is there."""
        return self.result.exists()


class Sweep:
    """A recipe and the directory of its results.

    Args:
        recipe: What to do.
        output: ``bundles/``, ``quality/`` and ``profiles/`` are made in it.

    Raises:
        EdgeqError: Two models or devices are called alike, or a device or its meter is none.
    """

    def __init__(self, recipe: SweepRecipe, output: Path) -> None:
        self.recipe, self.output = recipe, output
        _check_devices(recipe.profile)  # before exports, which may take hours
        results = [step.result for step in self.steps()]
        for path in results:
            if results.count(path) > 1:
                raise EdgeqError("two steps of the sweep would write the same file", file=path, wanted="distinct names")

    def steps(self) -> Iterator[Step]:
        """All steps, exports first."""
        for stage in (self._exports(), self._evaluations(), *self._profiles().values()):
            yield from stage

    def run(self, progress: Progress) -> list[tuple[str, EdgeqError]]:
        """Does what is not done; a step that fails does not stop the others.

        Boards measure side by side; exports and evaluations come before, for they would disturb this machine's
        measurements.

        Returns:
            Names and errors of the steps that failed.
        """
        failures = _run([*self._exports(), *self._evaluations()], progress)
        boards = list(self._profiles().values())
        with ThreadPoolExecutor(len(boards)) as pool:
            for failed in pool.map(lambda steps: _run(steps, progress), boards):
                failures += failed
        return failures

    def report(self) -> Path:
        """Writes the page of what has been measured."""
        from edgeq_devices.report.documents import load_results
        from edgeq_devices.report.page import render

        results = load_results([path for name in ("profiles", "quality") if (path := self.output / name).is_dir()])
        page = self.output / "report.html"
        write_file(page, render(results, self.recipe.title).encode())
        return page

    def _bundles(self) -> Iterator[tuple[str, str, Path]]:
        for model in self.recipe.models:
            for scheme in self.recipe.schemes:
                yield model, scheme, self.output / "bundles" / f"{file_name(Path(model).name)}-{file_name(scheme)}"

    def _exports(self) -> list[Step]:
        return [
            Step(f"export {path.name}", path, partial(self._export, model, scheme, path))
            for model, scheme, path in self._bundles()
        ]

    def _evaluations(self) -> list[Step]:
        if self.recipe.eval is None:
            return []
        return [
            Step(f"evaluate {path.name}", self._quality(path), partial(self._evaluate, path), path)
            for _, _, path in self._bundles()
        ]

    def _profiles(self) -> dict[str, list[Step]]:
        """Steps by device."""
        return {
            device: [
                Step(
                    f"profile {path.name} on {device}",
                    self.output / "profiles" / file_name(device) / f"{path.name}.json",
                    partial(self._profile, path, device),
                    path,
                )
                for _, _, path in self._bundles()
            ]
            for device in self.recipe.profile.devices
        }

    def _quality(self, bundle: Path) -> Path:
        return self.output / "quality" / f"{bundle.name}.json"

    def _export(self, model: str, scheme: str, path: Path, progress: Progress) -> None:
        from edgeq.exporting import export_recipe
        from edgeq.recipe import build_recipe

        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{path.name}.partial-*"):  # of a sweep that was killed
            shutil.rmtree(stale, ignore_errors=True)
        export_recipe(build_recipe(None, **{**self.recipe.export, "model": model, "scheme": scheme}), path)
        progress(f"export {path.name}", 1, 1)

    def _evaluate(self, path: Path, progress: Progress) -> None:
        from edgeq.evaluation.measure import Setup, measure_language, measure_similarity

        how = self.recipe.eval
        assert how is not None
        setup = Setup(path, how.against, None, None, True)
        found = (
            measure_similarity(setup, how.sts)
            if how.sts is not None
            else measure_language(setup, _given(how.text), how.window, how.windows, None, None)
        )
        write_json(self._quality(path), asdict(found))
        progress(f"evaluate {path.name}", 1, 1)

    def _profile(self, path: Path, device: str, progress: Progress) -> None:
        from edgeq_devices.external.address import parse_power
        from edgeq_devices.profiling import Request, profile

        how = self.recipe.profile
        report = profile(
            Request(
                path,
                tuple(how.n_prompt),
                tuple(how.n_gen),
                tuple(how.depth),
                tuple(how.threads),
                tuple(how.cores),
                device,
                how.repetitions,
                cool_down=how.cool_down,
                wait_seconds=WAIT_SECONDS,
                power=parse_power(how.power.get(device, "auto")),
            ),
            lambda stage, done, total: progress(f"{path.name} on {device}: {stage}", done, total),
        )
        write_json(self.output / "profiles" / file_name(device) / f"{path.name}.json", report.to_json())


def _check_devices(profile: ProfileSection) -> None:
    from edgeq_devices.external.address import parse_power
    from edgeq_devices.transports import open_transport

    for device in profile.devices:
        open_transport(device).close()
    for power in profile.power.values():
        parse_power(power)


def _run(steps: Sequence[Step], progress: Progress) -> list[tuple[str, EdgeqError]]:
    failures = []
    for step in steps:
        exported = step.needs is None or step.needs.exists()
        if exported and not step.done:
            try:
                step.make(progress)
            except EdgeqError as error:
                failures.append((step.name, error))
            except OSError as error:
                found = error.strerror or str(error)
                failures.append((step.name, EdgeqError("cannot write", file=error.filename, found=found)))
    return failures


def _given(text: Path | None) -> Path:
    if text is None:
        raise EdgeqError("nothing to evaluate on", field="eval", wanted="text or sts")
    return text


def write_json(path: Path, content: Any) -> None:
    """Writes a result beside its place and moves it there: a file that exists is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def file_name(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"
