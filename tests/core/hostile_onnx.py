"""ONNX files that bring more than a network; a function of the seed alone. Needs `onnx`."""

import random
from collections.abc import Callable, Iterator

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

Case = tuple[str, bytes]
_OWN = "own"


def cases(seed: int, count: int) -> Iterator[Case]:
    """(what it is, the file's bytes), `count` of them."""
    draw = random.Random(seed)
    for i in range(count):
        make = _MAKERS[i % len(_MAKERS)]
        name = make.__name__.strip("_")
        yield f"{name} {seed}/{i}", make(draw).SerializeToString()


def network(
    *nodes: NodeProto, size: tuple[object, object] = (8, 8), functions: tuple = (), **more: object
) -> ModelProto:
    """The mean colour of what it is shown; `nodes` lead from `image` to `seen`."""
    nodes = nodes or (helper.make_node("Relu", ["image"], ["seen"]),)
    graph = helper.make_graph(
        [
            *nodes,
            helper.make_node("GlobalAveragePool", ["seen"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["out"]),
        ],
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        **more,
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid(_OWN, 1)]
    return helper.make_model(graph, opset_imports=sets, functions=functions, ir_version=8)


def outside(name: str = "weight") -> TensorProto:
    """A tensor that stands in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return tensor


def nested(inner: GraphProto, depth: int) -> NodeProto:
    """`inner` as a branch within `depth` branches."""
    for i in range(depth):
        node = helper.make_node("If", ["c"], [f"y{i}"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], f"g{i}", [], [])
    return inner.node[0]


def calls(depth: int, times: int, body: str = "Relu") -> ModelProto:
    """Functions that call the one before them, `times` times each."""
    sets = [helper.make_opsetid("", 17), helper.make_opsetid(_OWN, 1)]
    functions = []
    for i in range(depth):
        names = ["x", *(f"t{j}" for j in range(times - 1)), "y"]
        steps = zip(names, names[1:], strict=False)
        kind, domain = (body, "") if i == 0 else (f"f{i - 1}", _OWN)
        nodes = [helper.make_node(kind, [x], [y], domain=domain) for x, y in steps]
        functions.append(helper.make_function(_OWN, f"f{i}", ["x"], ["y"], nodes, sets))
    first = helper.make_node(f"f{depth - 1}", ["image"], ["seen"], domain=_OWN)
    return network(first, functions=tuple(functions))


def _good(draw: random.Random) -> ModelProto:
    return network(size=draw.choice(((8, 8), ("h", "w"), (16, 8))))


def _external(draw: random.Random) -> ModelProto:
    """Somewhere in the file."""
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [])
    kind = draw.randrange(5)
    node = helper.make_node("Constant", [], ["seen"], value=outside())
    if kind == 0:
        return network(initializer=[outside()])
    if kind == 1:
        return network(node)
    if kind == 2:
        return network(helper.make_node("Constant", [], ["seen"], values=[outside()]))
    if kind == 3:
        graph.sparse_initializer.add(values=outside(), indices=outside("at"))
    else:
        graph.initializer.append(outside())
    return network(nested(graph, draw.randrange(1, 12)))


def _external_in_a_function(draw: random.Random) -> ModelProto:
    model = calls(2, 1)
    attribute = model.functions[draw.randrange(2)].node[0].attribute.add(name="value")
    attribute.type, attribute.t.name = attribute.TENSOR, "weight"
    attribute.t.CopyFrom(outside())
    return model


def _operator(draw: random.Random) -> ModelProto:
    """Whose code would have to be loaded."""
    name = draw.choice(("Own", "EPContext", "\x1b[2J\n", "x" * 100_000))
    domain = draw.choice(("evil", "com.microsoft" if name == "EPContext" else "e\nvil", "y" * 5000))
    node = helper.make_node(name, ["image"], ["seen"], domain=domain)
    graph = helper.make_graph([node], "g", [], [])
    return network(nested(graph, draw.randrange(1, 4)) if draw.random() < 0.5 else node)


def _copies(draw: random.Random) -> ModelProto:
    return calls(draw.choice((25, 30)), draw.choice((2, 3)))


def _few_copies(draw: random.Random) -> ModelProto:
    return calls(draw.randrange(1, 6), 2)


def _circle(draw: random.Random) -> ModelProto:
    model = calls(draw.randrange(2, 5), 1)
    model.functions[0].node[0].domain = _OWN
    model.functions[0].node[0].op_type = model.functions[-1].name
    return model


def _twice(draw: random.Random) -> ModelProto:
    model = calls(3, 1)
    model.functions[draw.randrange(2)].name = "f2"
    return model


def _side(draw: random.Random) -> ModelProto:
    side = draw.choice((100_000, 2**31, 2**62))
    return network(size=draw.choice(((side, side), (side, 8), (8, side))))


def _batch(draw: random.Random) -> ModelProto:
    model = network()
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[draw.randrange(2)].dim_value = draw.choice((0, -1, 4, 2**40))
    return model


def _many_nodes(draw: random.Random) -> ModelProto:
    count = draw.choice((3, 60_000))
    names = ["image", *(f"t{i}" for i in range(count - 1)), "seen"]
    pairs = zip(names, names[1:], strict=False)
    return network(*(helper.make_node("Relu", [x], [y]) for x, y in pairs))


def _wide(draw: random.Random) -> ModelProto:
    """Gives other outputs than it says, or asks for more memory than there is."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [1, draw.choice((3, 7)), 8, 2**44])
    return network(helper.make_node("ConstantOfShape", ["shape"], ["seen"]), initializer=[shape])


_MAKERS: tuple[Callable[[random.Random], ModelProto], ...] = (
    _good,
    _external,
    _external,
    _external_in_a_function,
    _operator,
    _copies,
    _few_copies,
    _circle,
    _twice,
    _side,
    _batch,
    _many_nodes,
    _wide,
)
