"""ONNX files: what is refused before onnxruntime sees it, and the shapes that they declare."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..fields import plain, show
from ..files import regular_file

MAX_BYTES = 1 << 30
MAX_PARTS = 100_000
MAX_NODES = 50_000
MAX_COPIES = 20_000
MAX_CALLS = 50
MAX_SIDE = 4096

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


def check(path: str | os.PathLike[str]) -> Any:
    """Read an ONNX file, unless it brings more than a network or costs more than one.

    onnxruntime follows names of other files, loads operators, and copies the body of a function to
    wherever it is called; so all of it is refused or counted before that sees the file.

    Raises:
        ValueError: if the file is no ONNX model, keeps tensors in other files, asks for operators
            that onnxruntime does not bring itself, or has more than `MAX_NODES` nodes, or
            `MAX_COPIES` in functions that are written out.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(
            "onnx is not installed, which ONNX encoders need; "
            "install it with: python -m pip install onnxruntime onnx"
        ) from error
    try:
        file = regular_file(path)
    except OSError as error:
        raise ValueError(f"{path} is not there; expected an ONNX file") from error
    if (size := file.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path} has {size >> 20} MiB; expected at most {MAX_BYTES >> 20}")
    try:
        model = onnx.load(os.fspath(path), format="protobuf", load_external_data=False)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read; expected an ONNX file") from error
    if not model.graph.node:
        raise ValueError(f"{path} holds no network; expected an ONNX file")
    try:
        _check_model(model)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    return model


@dataclass
class _Body:
    """A graph's or function's own nodes, subgraphs included, and its calls of the file's functions.

    Nothing in it has been followed: how often a function is copied is for `_expanded` to say.
    """

    nodes: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)


def _check_model(model: Any) -> None:
    known = {_name(function.domain, function.name) for function in model.functions}
    if len(known) != len(model.functions):
        raise ValueError("has two functions of one name; expected each once")
    budget = iter(range(MAX_PARTS))  # nodes and tensors that are looked at
    functions = {}
    for function in model.functions:
        body = functions[_name(function.domain, function.name)] = _Body()
        _look(function, body, known, budget)
        for attribute in function.attribute_proto:
            _look_into(attribute, body, known, budget)
    main = _Body()
    for training in model.training_info:
        _look(training.initialization, main, known, budget)
        _look(training.algorithm, main, known, budget)
    _look(model.graph, main, known, budget)
    if main.nodes > MAX_NODES:
        raise ValueError(f"has {main.nodes} nodes; expected at most {MAX_NODES}")
    _expanded(main, functions, {}, ())


def _name(domain: str, operator: str) -> tuple[str, str]:
    return "" if domain == "ai.onnx" else domain, operator


def _look(graph: Any, body: _Body, known: set[tuple[str, str]], budget: Iterator[int]) -> None:
    """Check what a graph or function holds, and add it to the body that it is part of."""
    for tensor in getattr(graph, "initializer", ()):
        _check_tensor(tensor, budget)
    for tensor in getattr(graph, "sparse_initializer", ()):
        _check_sparse(tensor, budget)
    for node in graph.node:
        _spend(budget)
        called = _name(node.domain, node.op_type)
        if called in known:
            body.calls[called] += 1
        elif node.domain not in _DOMAINS or node.op_type == "EPContext":
            raise ValueError(
                f"asks for the operator {plain(node.domain)}::{plain(node.op_type)}, whose code "
                "would have to be loaded; expected standard ONNX operators"
            )
        body.nodes += 1
        for attribute in node.attribute:
            _look_into(attribute, body, known, budget)


def _look_into(
    attribute: Any, body: _Body, known: set[tuple[str, str]], budget: Iterator[int]
) -> None:
    for tensor in _values(attribute, "t", "tensors"):
        _check_tensor(tensor, budget)
    for tensor in _values(attribute, "sparse_tensor", "sparse_tensors"):
        _check_sparse(tensor, budget)
    for graph in _values(attribute, "g", "graphs"):  # protobuf nests 100 messages at most
        _look(graph, body, known, budget)


def _values(attribute: Any, one: str, several: str) -> list[Any]:
    own = [getattr(attribute, one)] if attribute.HasField(one) else []
    return [*own, *getattr(attribute, several)]


def _check_tensor(tensor: Any, budget: Iterator[int]) -> None:
    _spend(budget)
    if tensor.data_location == tensor.EXTERNAL or len(tensor.external_data):
        raise ValueError(
            f"keeps tensor {show(tensor.name)} in another file; "
            "expected an ONNX file that holds all of its tensors"
        )


def _check_sparse(tensor: Any, budget: Iterator[int]) -> None:
    _check_tensor(tensor.values, budget)
    _check_tensor(tensor.indices, budget)


def _spend(budget: Iterator[int]) -> None:
    if next(budget, None) is None:
        raise ValueError(f"has too many nodes and tensors; expected at most {MAX_PARTS}")


def _expanded(
    body: _Body,
    functions: Mapping[tuple[str, str], _Body],
    sizes: dict[tuple[str, str], int],
    inside: tuple[tuple[str, str], ...],
) -> int:
    """Nodes of a body once its functions' bodies stand in it; `sizes` keeps those done."""
    copies = 0
    for name, times in body.calls.items():
        shown = f"{plain(name[0])}::{plain(name[1])}"
        if name in inside:
            raise ValueError(f"has a function {shown} that calls itself; expected none")
        if len(inside) >= MAX_CALLS:
            raise ValueError(f"nests functions down to {shown}; expected at most {MAX_CALLS} deep")
        if name not in sizes:
            sizes[name] = _expanded(functions[name], functions, sizes, (*inside, name))
        copies += times * sizes[name]
        if copies > MAX_COPIES:
            raise ValueError(
                f"has more than {MAX_COPIES} nodes once functions such as {shown} are written out; "
                "expected fewer"
            )
    return body.nodes + copies


@dataclass(frozen=True)
class Signature:
    """Shapes of a network's inputs and outputs; 0 stands for a dimension that is open."""

    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]


def signature(path: str | os.PathLike[str]) -> Signature:
    """Read an ONNX file's, after `check`.

    Raises:
        ValueError: as `check`, or if an input has a dimension of more than `MAX_SIDE`.
    """
    graph = check(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [_dimensions(x) for x in graph.input if x.name not in weights]
    for shape in inputs:
        if max(shape, default=0) > MAX_SIDE:
            raise ValueError(
                f"{path} takes an input of {show(list(shape))}; "
                f"expected dimensions of at most {MAX_SIDE}"
            )
    return Signature(tuple(inputs), tuple(_dimensions(x) for x in graph.output))


def _dimensions(value: Any) -> tuple[int, ...]:
    return tuple(max(0, d.dim_value) for d in value.type.tensor_type.shape.dim)
