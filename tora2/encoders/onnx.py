"""Encoders given as ONNX files: which providers run them, and identity networks for objects."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..fields import plain
from .fingerprint import file_fingerprint
from .onnx_file import signature
from .pictures import crop, pad_square, resize
from .protocols import Box

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_RUNNING = (
    RuntimeError,
    ValueError,
    LookupError,
    MemoryError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)
_logger = logging.getLogger(__name__)


def providers(device: torch.device | str) -> list[str | tuple[str, dict[str, Any]]]:
    """onnxruntime's execution providers for a torch device, the CPU last.

    Raises:
        ValueError: if onnxruntime is not installed.
    """
    device = torch.device(device)
    wanted: dict[str, list[str]] = {
        "cuda": ["ROCMExecutionProvider" if torch.version.hip else "CUDAExecutionProvider"],
        "mps": ["CoreMLExecutionProvider"],
        "privateuseone": ["DmlExecutionProvider"],
    }
    available = runtime().get_available_providers()
    out: list[str | tuple[str, dict[str, Any]]] = []
    for name in wanted.get(device.type, []):
        if name in available:
            out.append((name, {"device_id": device.index or 0} if device.type == "cuda" else {}))
    if wanted.get(device.type) and not out:
        _logger.info("onnxruntime has no provider for %s; faces are encoded on the CPU", device)
    return [*out, "CPUExecutionProvider"]


def runtime() -> Any:
    """The onnxruntime module.

    Raises:
        ValueError: if it is not installed, with the command that installs it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            "onnxruntime is not installed, which ONNX encoders need; "
            "install it with: python -m pip install onnxruntime onnx"
        ) from error
    return onnxruntime


@contextmanager
def running(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what onnxruntime raises about a file into a ValueError with one sentence."""
    state = runtime().capi.onnxruntime_pybind11_state  # its exceptions share no base of their own
    own: list[type[Exception]] = [
        x for x in vars(state).values() if isinstance(x, type) and issubclass(x, Exception)
    ]
    if cv2 := sys.modules.get("cv2"):  # aligns faces
        own.append(cv2.error)
    raised: tuple[type[Exception], ...] = (*_RUNNING, *own)
    try:
        yield
    except raised as error:
        reason = plain(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise ValueError(f"{path} cannot be run ({reason}); expected another network") from error


class OnnxPrior:
    """An identity network for objects as ONNX, used by its signature.

    One input [N, 3, H, W] takes the entity's crop, ImageNet-normalised (OSNet and other ReID
    networks); a second input [N, 4] takes its box beside the whole picture (MASA's export).

    Args:
        path: the file.
        device: where onnxruntime should run it.
        name: what its results are filed under, beside the file's content.
    """

    def __init__(
        self, path: str | os.PathLike[str], device: torch.device | str, name: str = "onnx"
    ) -> None:
        signature(path)
        self.path, self.device = Path(path), torch.device(device)
        self._session: Any = None
        session = self._load()
        shapes = [list(x.shape) for x in session.get_inputs()]
        given = [list(x.shape) for x in session.get_outputs()]
        fits = len(shapes) in (1, 2) and len(shapes[0]) == 4 and len(given) == 1 and given[0]
        if not fits or not isinstance(given[0][-1], int):
            raise ValueError(
                f"{path} has inputs {shapes} and outputs {given}; "
                "expected a picture [N, 3, H, W], optionally boxes [N, 4], and [N, width]"
            )
        self._names = [x.name for x in session.get_inputs()]
        self._size = tuple(x if isinstance(x, int) else None for x in shapes[0][2:])
        self.dim = given[0][-1]
        self.key = f"{name}-{file_fingerprint(path)}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The network's file."""
        return (self.path,)

    def free(self) -> None:
        """Let go of the network's memory; the next call loads it again."""
        self._session = None

    def _load(self) -> Any:
        if self._session is None:
            where = providers(self.device)
            with running(self.path):
                self._session = runtime().InferenceSession(os.fspath(self.path), providers=where)
        return self._session

    def encode(self, image: Tensor, box: Box) -> Tensor:
        """uint8 [3, H, W] on white and the entity's box to [dim], float32."""
        if len(self._names) == 1:
            image = crop(image, box)
        height, width = (x or y for x, y in zip(self._size, image.shape[1:], strict=True))
        scale_y, scale_x = height / image.shape[1], width / image.shape[2]
        if len(self._names) == 1 and height == width:
            image = pad_square(image)
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (_MEAN, _STD))
        pixels = (resize(image.float(), (height, width)).clamp(0, 255) / 255 - mean) / std
        feed = {self._names[0]: pixels[None].numpy()}
        if len(self._names) == 2:
            scaled = [box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y]
            feed[self._names[1]] = torch.tensor([scaled]).numpy()
        session = self._load()
        with running(self.path):
            vector = torch.from_numpy(session.run(None, feed)[0]).flatten().float()
            if len(vector) != self.dim:
                raise ValueError(f"{len(vector)} numbers came out in place of {self.dim}")
        return vector
