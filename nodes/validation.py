"""Refusing what a workflow file or the API may put into our inputs, by their own schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comfy_api.latest import io

from ..tora2 import fields

MAX_TEXT = 4 * 1024 * 1024
NO_FILE = "no file there yet"
"""The option of a file input whose folder is empty: without any, the host would send nothing."""


def refusal(
    node: type[io.ComfyNode],
    inputs: Mapping[str, Any],
    *extra: Callable[[], object],
    where: Mapping[str, Callable[[], str]] | None = None,
) -> bool | str:
    """True, or a sentence that names the node, the input, its value and what was expected.

    Linked and absent inputs arrive as None and are taken on trust.

    Args:
        node: its schema gives types, bounds and options.
        inputs: what `validate_inputs` received.
        extra: further checks, run when the schema's own have passed; each may raise ValueError.
        where: for inputs that choose a file, what to say of where such files are to be had.
    """
    schema = node.define_schema()
    try:
        for input in schema.inputs:
            value = inputs.get(input.id)
            if value is not None:
                check_input(input, value, (where or {}).get(input.id))
        for check in extra:
            check()
    except ValueError as error:
        return f"{schema.node_id}: {error}"
    return True


def check_input(input: Any, value: Any, where: Callable[[], str] | None = None) -> None:
    """Raise ValueError if a widget's value does not fit its input."""
    name = input.id
    if isinstance(input, io.Int.Input):
        fields.integer(value, name, _or(input.min, -(2**63)), _or(input.max, 2**64 - 1))
    elif isinstance(input, io.Float.Input):
        fields.number(value, name, _or(input.min, -1e9), _or(input.max, 1e9))
    elif isinstance(input, io.Boolean.Input):
        if not isinstance(value, bool):
            raise fields.refuse(name, value, "true or false")
    elif isinstance(input, io.Combo.Input):
        check_choice(value, name, input.options, where)
    elif isinstance(input, io.String.Input):
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise fields.refuse(name, value, f"a text of at most {MAX_TEXT} characters")
    elif isinstance(input, io.Autogrow.Input):
        for key, item in value.items():
            if item is not None:
                raise fields.refuse(f"{name}.{key}", item, "a connection from another node")
    else:
        raise fields.refuse(name, value, "a connection from another node")


def check_choice(
    value: Any, name: str, options: list[str], where: Callable[[], str] | None = None
) -> None:
    """One of a combo's options; a long list is not repeated."""
    there = [option for option in options if option != NO_FILE]
    if isinstance(value, str) and value in there:
        return
    listed = ", ".join(there[:8]) + (", …" if len(there) > 8 else "")
    expected = f"one of {listed}" if there else "a file, but there is none in its folder"
    error = fields.refuse(name, value, expected)
    raise ValueError(f"{error}. {where()}") if where is not None else error


def _or(bound: Any, default: Any) -> Any:
    return default if bound is None else bound
