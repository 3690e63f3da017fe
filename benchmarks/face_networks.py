"""insightface's antelopev2 at its published sizes with random weights, as ONNX files.

The recogniser is ArcFace's IResNet-100 (112x112 to 512), the detector SCRFD-10G with landmarks
(ResNet of 3, 4, 2, 3 basic blocks, PAFPN of 56 channels, three towers of 80). Batch norms that
follow a convolution are folded into it, as in the files that insightface publishes. The detector
finds nothing.

Run `python benchmarks/face_networks.py FOLDER` to write them.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES, ANCHORS = (8, 16, 32), 2


class Network:
    """Nodes and random weights of a graph; each method adds a layer and names its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)

    def constant(self, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(value, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        name = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"n_{name}", **attributes))
        return name

    def parameters(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:]))
        return self.constant(self.random.normal(0, fan_in**-0.5, shape).astype(np.float32))

    def full(self, value: float, *shape: int) -> str:
        return self.constant(np.full(shape, value, np.float32))

    def conv(
        self, x: str, given: int, wanted: int, side: int = 3, stride: int = 1, bias: float = 0
    ) -> str:
        attributes = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": [side // 2] * 4}
        weight, offset = self.parameters(wanted, given, side, side), self.full(bias, wanted)
        return self.node("Conv", x, weight, offset, **attributes)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def prelu(self, x: str, width: int) -> str:
        return self.node("PRelu", x, self.full(0.25, width, 1, 1))

    def norm(self, x: str, width: int) -> str:
        values = [self.full(value, width) for value in (1, 0, 0, 1)]
        return self.node("BatchNormalization", x, *values)

    def half(self, x: str, kind: str, side: int) -> str:
        pads = [(side - 1) // 2] * 4
        return self.node(kind, x, kernel_shape=[side] * 2, strides=[2, 2], pads=pads)

    def model(self, shape: list[int | str], outputs: dict[str, int]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "faces",
            [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, shape)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
                for name, width in outputs.items()
            ],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def recogniser() -> onnx.ModelProto:
    net, given = Network(), 64
    x = net.prelu(net.conv("input.1", 3, given), given)
    for blocks, width in ((3, 64), (13, 128), (30, 256), (3, 512)):
        for place in range(blocks):
            stride = 1 if place else 2
            short = x if place else net.conv(x, given, width, 1, 2)
            x = net.prelu(net.conv(net.norm(x, given), given, width), width)
            x = net.node("Add", net.conv(x, width, width, 3, stride), short)
            given = width
    x = net.node("Flatten", net.norm(x, given))
    inner = given * 7 * 7
    net.node("Gemm", x, net.parameters(512, inner), net.full(0, 512), output="683", transB=1)
    return net.model(["None", 3, 112, 112], {"683": 512})


def detector() -> onnx.ModelProto:
    net = Network()
    levels = _pyramid(net, _backbone(net))
    kinds = {"score": 1, "bbox": 4, "kps": 10}
    for stride, x in zip(STRIDES, levels, strict=True):
        for given in (56, 80, 80):
            x = net.relu(net.conv(x, given, 80))
        for kind, width in kinds.items():
            y = net.conv(x, 80, ANCHORS * width, bias=-1e4 if kind == "score" else 0)
            y = net.node("Sigmoid", y) if kind == "score" else y
            y = net.node("Transpose", y, perm=[0, 2, 3, 1])
            shape = net.constant(np.array([-1, width], np.int64))
            net.node("Reshape", y, shape, output=f"{kind}_{stride}")
    outputs = {f"{kind}_{stride}": width for kind, width in kinds.items() for stride in STRIDES}
    return net.model([1, 3, "?", "?"], outputs)


def _backbone(net: Network) -> list[tuple[str, int]]:
    """The last three stages' outputs and widths, at strides 8, 16 and 32."""
    x = net.relu(net.conv("input.1", 3, 28, 3, 2))
    x = net.relu(net.conv(net.relu(net.conv(x, 28, 28)), 28, 56))
    x, given, stages = net.half(x, "MaxPool", 3), 56, []
    for stage, (blocks, width) in enumerate(((3, 56), (4, 88), (2, 88), (3, 224))):
        for place in range(blocks):
            first = stage > 0 and place == 0
            short = net.conv(net.half(x, "AveragePool", 2), given, width, 1) if first else x
            x = net.relu(net.conv(x, given, width, 3, 2 if first else 1))
            x = net.relu(net.node("Add", net.conv(x, width, width), short))
            given = width
        stages.append((x, width))
    return stages[1:]


def _pyramid(net: Network, stages: list[tuple[str, int]], width: int = 56) -> list[str]:
    """PAFPN: from coarse to fine and back."""
    levels = [net.conv(x, given, width, 1) for x, given in stages]
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    for place in (1, 0):
        up = net.node("Resize", levels[place + 1], "", scales, mode="nearest")
        levels[place] = net.node("Add", levels[place], up)
    levels = [net.conv(x, width, width) for x in levels]
    for place in (1, 2):
        down = net.conv(levels[place - 1], width, width, 3, 2)
        levels[place] = net.node("Add", levels[place], down)
    return [levels[0], *(net.conv(x, width, width) for x in levels[1:])]


def write_folder(folder: Path) -> None:
    """Lay a folder out as antelopev2."""
    onnx.save(detector(), folder / "scrfd_10g_bnkps.onnx")
    onnx.save(recogniser(), folder / "glintr100.onnx")


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]))
