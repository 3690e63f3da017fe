"""Optical flow of a whole video, as Tora's first stage trains on it; estimators by name."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ..checkpoints.torch_pickle import read_torch
from ..encoders.fingerprint import fingerprint

ESTIMATORS = ("farneback", "raft")
_RAFT_SIDE = 128


class FlowEstimator(Protocol):
    """Tells where every pixel goes.

    Attributes:
        key: tells this estimator's results from those of another.
    """

    @property
    def key(self) -> str: ...

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Two pictures uint8 [3, H, W] to [2, H, W], (dx, dy) in pixels at the first's places."""


def dense_flow(estimator: FlowEstimator, frames: Tensor) -> Tensor:
    """The flow of a video, as `flow_map` has that of tracks: at the places of the frame before.

    Args:
        estimator: of each pair of frames.
        frames: uint8 [T, 3, H, W].

    Returns:
        [T, 2, H, W] float32 pixels; frame 0 is without motion.
    """
    flow = torch.zeros(len(frames), 2, *frames.shape[2:])
    for time in range(1, len(frames)):
        flow[time] = estimator.estimate(frames[time - 1], frames[time])
    return flow


def load_estimator(
    name: str, weights: str | None = None, device: torch.device | str = "cpu"
) -> FlowEstimator:
    """An estimator of `ESTIMATORS`.

    Raises:
        ValueError: if there is none of that name, its package is missing, or its weights are
            missing or do not fit.
    """
    if name == "farneback":
        return Farneback()
    if name == "raft":
        if weights is None:
            raise ValueError(
                "the flow of raft needs weights, expected torchvision's raft_large as flow_weights"
            )
        return Raft(weights, device)
    raise ValueError(f"flow {name!r} is unknown, expected one of {', '.join(ESTIMATORS)}")


class Farneback:
    """OpenCV's polynomial expansion; needs no weights."""

    key = "farneback"

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError:
            raise ValueError(
                "the flow of farneback needs OpenCV: pip install 'comfyui-tora2[flow]'"
            ) from None
        self._cv2: Any = cv2

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """See `FlowEstimator`."""
        one, other = (self._grey(picture) for picture in (first, second))
        flow = self._cv2.calcOpticalFlowFarneback(one, other, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        return torch.from_numpy(flow).permute(2, 0, 1)

    def _grey(self, picture: Tensor) -> Any:
        rgb = picture.permute(1, 2, 0).contiguous().numpy()
        return self._cv2.cvtColor(rgb, self._cv2.COLOR_RGB2GRAY)


class Raft:
    """torchvision's RAFT, large, which Tora was trained with.

    Args:
        weights: its state dict, a .pth file that is read without unpickling.
        device: where it runs.
    """

    def __init__(self, weights: str, device: torch.device | str = "cpu") -> None:
        try:
            from torchvision.models.optical_flow import raft_large
        except ImportError:
            raise ValueError(
                "the flow of raft needs torchvision: pip install torchvision"
            ) from None
        state = read_torch(weights)
        self._network = raft_large(weights=None, progress=False)
        try:
            self._network.load_state_dict(state)
        except RuntimeError:
            raise ValueError(f"{weights} holds no raft_large, expected torchvision's") from None
        self._network.eval().requires_grad_(False).to(device)
        self._device = device
        self.key = f"raft-{fingerprint(state)}"

    @torch.no_grad()
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """See `FlowEstimator`.

        Raises:
            ValueError: if a side is below 128 pixels.
        """
        if min(first.shape[1:]) < _RAFT_SIDE:
            size = f"{first.shape[2]}x{first.shape[1]}"
            raise ValueError(f"frames are {size}, expected sides of {_RAFT_SIDE} and more for raft")
        pair = (self._signed(picture) for picture in (first, second))
        flow: Tensor = self._network(*pair)[-1][0]
        return flow.float().cpu()

    def _signed(self, picture: Tensor) -> Tensor:
        return (picture[None].float() / 127.5 - 1).to(self._device)
