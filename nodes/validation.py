"""Refusing what a workflow file or the API may put into our inputs, by their own schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
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
        if not isinstance(value, Mapping):
            raise fields.refuse(name, value, "connections from other nodes")
        for key, item in value.items():
            if item is not None:
                raise fields.refuse(f"{name}.{key}", item, "a connection from another node")
    else:
        raise fields.refuse(name, value, "a connection from another node")


def guarded(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The node, whose `execute` from now on names an input that has no value.

    The API may give null where a value belongs, and a linked node may give None; neither can be
    told from a link while inputs are validated.
    """
    execute = node.execute.__func__  # type: ignore[attr-defined]
    if hasattr(execute, "__wrapped__"):
        return node

    @wraps(execute)
    def checked(cls: type[io.ComfyNode], *args: Any, **inputs: Any) -> io.NodeOutput:
        schema = node.define_schema()

        def absent(input: Any) -> ValueError:
            return ValueError(f"{schema.node_id}: {input.id} is null, expected {_expected(input)}")

        for input in schema.inputs:
            given = inputs.get(input.id, ())
            # A node that takes lists gets a list of nothing.
            lacks = given is None or (schema.is_input_list and None in given)
            if lacks and not _may_be_none(input):
                raise absent(input)
        for input in schema.inputs:
            if inputs.get(input.id) == {} and not input.optional:
                raise absent(input)
        for input in schema.inputs:
            given = inputs.get(input.id)
            # The host passes on a plain value of the API where a link belongs.
            picture = isinstance(input, io.Image.Input | io.Mask.Input) and not schema.is_input_list
            if picture and isinstance(given, bool | int | float | str | list | dict):
                raise ValueError(
                    f"{schema.node_id}: {input.id} is {fields.show(given)}, "
                    f"expected {_expected(input)}"
                )
        return execute(cls, *args, **inputs)

    node.execute = classmethod(checked)  # type: ignore[method-assign,assignment]
    return node


def _may_be_none(input: Any) -> bool:
    """Whether no value at all is one of an input's values: unconnected, or nothing drawn yet."""
    if (input.extra_dict or {}).get("socketless"):
        return True
    return input.optional and (not isinstance(input, io.WidgetInput) or bool(input.force_input))


def _expected(input: Any) -> str:
    if isinstance(input, io.Combo.Input):
        return _one_of(input.options)
    return f"a {input.get_io_type()}, such as another node gives"


def check_choice(
    value: Any, name: str, options: list[str], where: Callable[[], str] | None = None
) -> None:
    """One of a combo's options; a long list is not repeated."""
    if isinstance(value, str) and value in options and value != NO_FILE:
        return
    error = fields.refuse(name, value, _one_of(options))
    raise ValueError(f"{error}. {where()}") if where is not None else error


def _one_of(options: list[str]) -> str:
    there = [option for option in options if option != NO_FILE]
    listed = ", ".join(there[:8]) + (", …" if len(there) > 8 else "")
    return f"one of {listed}" if there else "a file, but there is none in its folder"


def _or(bound: Any, default: Any) -> Any:
    return default if bound is None else bound
