# SPDX-License-Identifier: Apache-2.0
"""``METHOD.FIELD=VALUE``: options of methods from text, checked against the fields of their ``Options``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from edgeq.errors import EdgeqError
from edgeq.methods.grids import GridOptions
from edgeq.methods.registry import Method

FLAG = "--method-option"


def parse_options(methods: Sequence[Method], values: Mapping[str, Any]) -> Iterator[tuple[Method, Any]]:
    """Each method with its options; fields that are not named keep their defaults.

    Raises:
        EdgeqError: An option names no method of the pipeline or no field of it, or its value is of the wrong type or
            out of range.
    """
    names = [method.name for method in methods]
    for option in values:
        if option.partition(".")[0] not in names or "." not in option:
            wanted = " or ".join(f"{name}.FIELD" for name in names)
            raise EdgeqError("option of no method", field=FLAG, found=repr(option), wanted=wanted)
    for method in methods:
        options = method.module.Options()
        for option, value in values.items():
            name, _, field = option.partition(".")
            if name == method.name:
                options = _set(options, option, field, value)
        yield method, options


def option_names(options: Any) -> list[str]:
    """The fields that can be set; those of the grid stand beside the method's own."""
    own = [field.name for field in fields(options) if field.name != "grid"]
    return own + ([field.name for field in fields(options.grid)] if hasattr(options, "grid") else [])


def describe_options(options: Any) -> dict[str, Any]:
    """The fields that differ from their defaults, as `parse_options` takes them."""
    default = type(options)()
    pairs = {name: (_get(options, name), _get(default, name)) for name in option_names(options)}
    return {name: value for name, (value, usual) in pairs.items() if value != usual}


def _get(options: Any, name: str) -> Any:
    return getattr(options, name) if hasattr(options, name) else getattr(options.grid, name)


def _set(options: Any, option: str, field: str, value: Any) -> Any:
    if field not in option_names(options):
        raise EdgeqError("unknown option", field=FLAG, found=option, wanted=" or ".join(option_names(options)))
    if hasattr(options, field):
        return replace(options, **{field: _convert(type(options), field, option, value)})
    grid: GridOptions = options.grid
    return replace(options, grid=replace(grid, **{field: _convert(type(grid), field, option, value)}))


def _convert(kind: type, field: str, option: str, value: Any) -> Any:
    try:
        return _adapter(kind, field).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise EdgeqError(first["msg"], field=FLAG, found=f"{option}={value}") from error


@cache
def _adapter(kind: type, field: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(kind, include_extras=True)[field])
