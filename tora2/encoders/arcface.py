"""ArcFace's residual network in torch, so that faces need nothing that is compiled.

Weights come from the ONNX files that people have (insightface's glintr100, AuraFace):
`convert_onnx` walks their graph, folds the norms that follow a convolution into it, and gives the
same numbers. The architecture is IResNet (Deng et al., ArcFace, arXiv 1801.07698, section 3.2.3),
of any depth: a stem, pre-activated blocks of two convolutions, a linear layer to the identity.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..files import regular_file
from .fingerprint import fingerprint
from .protocols import Face

SIDE = 112
LAYOUT = "tora2-arcface-1"
"""What a converted file's metadata says that it is."""
_TARGET = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
           (70.7299, 92.2041))  # fmt: skip
"""Where ArcFace wants eyes, nose and mouth corners in a face of 112x112 (its template)."""
_MAX_BLOCKS = 200


class Affine(nn.Module):
    """A norm of fixed statistics: a scale and a shift a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same."""
        return x * self.scale[:, None, None] + self.shift[:, None, None]


class Block(nn.Module):
    """Norm, convolution, PReLU, convolution, beside the identity or a strided convolution."""

    def __init__(self, width_in: int, width: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.norm = Affine(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.slope = nn.Parameter(torch.zeros(width))
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1)
        self.shortcut = nn.Conv2d(width_in, width, 1, stride) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, width, H / stride, W / stride]."""
        inner = self.conv2(F.prelu(self.conv1(self.norm(x)), self.slope))
        return inner + (x if self.shortcut is None else self.shortcut(x))


class ArcFace(nn.Module):
    """The network of a converted file, whose shapes say its depth and widths.

    Args:
        shapes: of the file's tensors, by name.

    Raises:
        ValueError: if they are no such network's.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        count = sum(name.endswith(".conv1.weight") for name in shapes)
        try:
            stem = shapes["stem.weight"]
            blocks = []
            for i in range(count):
                width, width_in = shapes[f"blocks.{i}.conv1.weight"][:2]
                shortcut = f"blocks.{i}.shortcut.weight" in shapes
                blocks.append(Block(width_in, width, 2 if shortcut else 1, shortcut))
            width, features = shapes["linear.weight"]
        except (KeyError, ValueError) as error:
            raise ValueError(f"holds no face recogniser of ArcFace's layout ({error})") from None
        if not 0 < count <= _MAX_BLOCKS or tuple(stem[1:]) != (3, 3, 3):
            raise ValueError(f"has {count} blocks on a stem of {tuple(stem)}, expected ArcFace's")
        widths = [stem[0], *(block.conv1.out_channels for block in blocks)]
        side = SIDE
        for before, block in zip(widths, blocks, strict=False):
            side = -(-side // block.conv2.stride[0])
            kept = block.shortcut is None and block.conv1.out_channels != before
            if kept or block.conv1.in_channels != before:
                raise ValueError(f"has a block of {block.conv1.in_channels} channels on {before}")
        if features != widths[-1] * side**2:
            raise ValueError(f"reads {features} features, expected {widths[-1] * side**2}")
        self.stem = nn.Conv2d(3, stem[0], 3, padding=1)
        self.slope = nn.Parameter(torch.zeros(stem[0]))
        self.blocks = nn.ModuleList(blocks)
        self.norm = Affine(blocks[-1].conv2.out_channels)
        self.linear = nn.Linear(features, width)

    def forward(self, faces: Tensor) -> Tensor:
        """[B, 3, 112, 112] in [-1, 1], RGB, to [B, width], not normalised."""
        x = F.prelu(self.stem(faces), self.slope)
        for block in self.blocks:
            x = block(x)
        return self.linear(self.norm(x).flatten(1))


class TorchRecogniser:
    """ArcFace's network as a FaceRecogniser: it aligns a face by its five points and embeds it.

    Attributes:
        network: the module, wherever it lies.
        dim: of the identity vector.
        key: tells its results from those of other weights.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        with torch.device("meta"):
            self.network = ArcFace({name: tuple(x.shape) for name, x in weights.items()})
        self.network.load_state_dict({k: x.float() for k, x in weights.items()}, assign=True)
        self.network.eval().requires_grad_(False)
        self.dim = self.network.linear.out_features
        self.key = f"arcface-{fingerprint(weights)}"

    @torch.no_grad()
    def embed(self, image: Tensor, face: Face) -> Tensor:
        """uint8 [3, H, W] and one of its faces to [dim], float32, not normalised."""
        device = self.network.stem.weight.device
        pixels = align(image, face.points).to(device) / 127.5 - 1
        return self.network(pixels[None])[0].float().cpu()


def load_recogniser(path: str | os.PathLike[str]) -> TorchRecogniser:
    """A recogniser from a converted file, or straight from an ONNX file (which takes `onnx`).

    Raises:
        ValueError: if the file is no face recogniser of ArcFace's layout.
    """
    file = Path(path)
    if file.suffix.lower() == ".onnx":
        return TorchRecogniser(convert_onnx(file))
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(regular_file(file))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file} cannot be read ({error}), expected a safetensors file") from error
    try:
        return TorchRecogniser(weights)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{file} {str(error).splitlines()[0]}") from None


def align(image: Tensor, points: Sequence[tuple[float, float]]) -> Tensor:
    """A face turned, scaled and moved onto ArcFace's template.

    Args:
        image: uint8 [3, H, W].
        points: five (x, y) in pixels: eyes (left in the picture first), nose, mouth corners.

    Returns:
        [3, 112, 112] in [0, 255]; black beyond the picture.
    """
    matrix = similarity(points, _TARGET)
    back = torch.linalg.inv(torch.cat([matrix, torch.tensor([[0.0, 0.0, 1.0]]).double()]))[:2]
    ys, xs = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    places = torch.stack([xs, ys, torch.ones_like(xs)], -1).double() @ back.T  # [112, 112, 2]
    size = torch.tensor([image.shape[2], image.shape[1]])
    grid = (2 * (places + 0.5) / size - 1).float()
    return F.grid_sample(image[None].float(), grid[None], align_corners=False)[0]


def similarity(
    points: Sequence[tuple[float, float]], target: Sequence[tuple[float, float]]
) -> Tensor:
    """The turn, scale and shift [2, 3] that bring points nearest to others (Umeyama, 1991)."""
    source, goal = (torch.tensor(x, dtype=torch.float64) for x in (points, target))
    mean_s, mean_g = source.mean(0), goal.mean(0)
    centred_s, centred_g = source - mean_s, goal - mean_g
    u, scales, v = torch.linalg.svd(centred_g.T @ centred_s / len(source))
    signs = torch.tensor([1.0, 1.0 if torch.det(u) * torch.det(v) > 0 else -1.0]).double()
    rotation = u @ torch.diag(signs) @ v
    spread = (centred_s**2).sum() / len(source)
    scale = (scales * signs).sum() / spread.clamp(min=1e-12)
    return torch.cat([scale * rotation, (mean_g - scale * rotation @ mean_s)[:, None]], 1)


def convert_onnx(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Weights of a face recogniser from its ONNX file, under our names.

    Raises:
        ValueError: if the package onnx is missing, or the graph is not ArcFace's.
    """
    from .onnx_file import check

    model = check(path)
    try:
        return _Reader(model).read()
    except (LookupError, StopIteration, RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is no face recogniser of ArcFace's layout ({error or 'it ends too early'}); "
            "expected glintr100.onnx, w600k_r50.onnx or AuraFace's"
        ) from None


class _Reader:
    """Reads ArcFace's graph node by node, following the data."""

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        graph = model.graph
        self.weights = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
            for tensor in graph.initializer
        }
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        (self.at,) = (x.name for x in graph.input if x.name not in self.weights)
        self.out: dict[str, Tensor] = {}

    def read(self) -> dict[str, Tensor]:
        self._put("stem", self._conv(self._next("Conv")))
        self._slope("slope")
        place = 0
        while self._kind() in ("BatchNormalization", "Conv") and not self._ends():
            self._block(f"blocks.{place}")
            place += 1
            if place > _MAX_BLOCKS:
                raise LookupError("it has too many blocks")
        scale, shift = self._norm(self._next("BatchNormalization"))
        self.out |= {"norm.scale": scale, "norm.shift": shift}
        while self._kind() in ("Dropout", "Identity", "Flatten", "Reshape"):
            self._next()
        self._linear(self._next("Gemm"))
        return {name: x.float().contiguous() for name, x in self.out.items()}

    def _block(self, name: str) -> None:
        start = self.at
        scale, shift = self._norm(self._next("BatchNormalization"))
        self.out |= {f"{name}.norm.scale": scale, f"{name}.norm.shift": shift}
        self._put(f"{name}.conv1", self._conv(self._next("Conv")))
        self._slope(f"{name}.slope")
        second = self._next("Conv")
        self._put(f"{name}.conv2", self._conv(second))
        inner = self.at
        (add,) = [node for node in self.readers[inner] if node.op_type == "Add"]
        other = next(x for x in add.input if x != inner)
        stride = _attribute(second, "strides", [1, 1])
        if other != start:
            self.at = start
            shortcut = next(node for node in self.readers[start] if node.op_type == "Conv")
            if _attribute(shortcut, "strides", [1, 1]) != stride:
                raise LookupError("a shortcut and its block have different strides")
            self.at = shortcut.output[0]
            self._put(f"{name}.shortcut", self._conv(shortcut))
            if self.at != other:
                raise LookupError("a shortcut leads elsewhere")
        if list(stride) != ([1, 1] if other == start else [2, 2]):
            raise LookupError(f"a block has the strides {list(stride)}")
        self.at = add.output[0]

    def _ends(self) -> bool:
        """Whether what comes is the last norm: none of a block, whose input goes on beside it."""
        node = self.readers[self.at][0]
        return len(self.readers[self.at]) == 1 and self.readers[node.output[0]][0].op_type != "Conv"

    def _kind(self) -> str:
        kinds = [node.op_type for node in self.readers.get(self.at, [])]
        return "BatchNormalization" if "BatchNormalization" in kinds else (kinds or [""])[0]

    def _next(self, *kinds: str) -> Any:
        """The node that reads the data here, of one of some kinds; the data goes on behind it."""
        found = [n for n in self.readers.get(self.at, []) if not kinds or n.op_type in kinds]
        if not found:
            raise LookupError(f"{' or '.join(kinds)} is expected where {self._kind() or 'it ends'}")
        self.at = found[0].output[0]
        return found[0]

    def _conv(self, node: Any) -> tuple[Tensor, Tensor]:
        """A convolution's weight and bias, with the norm after it, if there is one, folded in."""
        weight = self.weights[node.input[1]].double()
        bias = torch.zeros(len(weight)).double()
        if len(node.input) > 2:
            bias = self.weights[node.input[2]].double()
        side = weight.shape[-1]
        padded = _attribute(node, "pads", [0] * 4) == [side // 2] * 4
        if _attribute(node, "group", 1) != 1 or not padded or side not in (1, 3):
            raise LookupError("a convolution is of another kind")
        readers = self.readers.get(self.at, [])
        if len(readers) == 1 and readers[0].op_type == "BatchNormalization":
            scale, shift = self._norm(self._next())
            weight, bias = weight * scale[:, None, None, None], bias * scale + shift
        return weight, bias

    def _norm(self, node: Any) -> tuple[Tensor, Tensor]:
        gain, bias, mean, variance = (self.weights[name].double() for name in node.input[1:5])
        scale = gain / (variance + _attribute(node, "epsilon", 1e-5)).sqrt()
        return scale, bias - mean * scale

    def _slope(self, name: str) -> None:
        self.out[name] = self.weights[self._next("PRelu").input[1]].double().flatten()

    def _linear(self, node: Any) -> None:
        weight, bias = (self.weights[name].double() for name in node.input[1:3])
        if not _attribute(node, "transB", 0):
            weight = weight.T
        if self._kind() == "BatchNormalization":
            scale, shift = self._norm(self._next())
            weight, bias = weight * scale[:, None], bias * scale + shift
        self.out |= {"linear.weight": weight, "linear.bias": bias}

    def _put(self, name: str, conv: tuple[Tensor, Tensor]) -> None:
        self.out |= {f"{name}.weight": conv[0], f"{name}.bias": conv[1]}


def _attribute(node: Any, name: str, default: Any) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(x) for x in node.attribute if x.name == name), default)
