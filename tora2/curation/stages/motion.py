"""How much moves: the mean optical flow between frames that lie ten apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import torch

from ...data.flow import FlowEstimator, load_estimator
from ...settings import Within
from ..candidate import Candidate, Frames
from ..stage import Need, Resources

SIZE = (320, 576)  # (height, width) in pixels, at which Open-Sora's score looks at the frames
_FRAMES, _APART = 4, 10


@dataclass(frozen=True)
class Config:
    """The paper keeps a flow score above 2 (section 3.3); Tora 3.

    Attributes:
        above: the score that must be exceeded.
        estimator: the paper's UniMatch has no package; `farneback` needs no weights, `raft` does.
        weights: torchvision's raft_large.
        scale: what the estimator's mean is multiplied with; its own by default (docs/curation.md).
        device: of raft.
    """

    above: Annotated[float, Within(0, 1000)] = 2.0
    estimator: Literal["farneback", "raft"] = "farneback"
    weights: str | None = None
    scale: float | None = None
    device: str = "cpu"


# On drawn scenes whose true flow is near the paper's threshold Farneback's mean is 0 to 12 % too
# large (benchmarks/curation.py); RAFT's is taken as it is.
SCALES = {"farneback": 0.95, "raft": 1.0}


@dataclass
class Motion:
    """See the module."""

    config: Config
    name = "motion"
    resources: Resources = field(default_factory=Resources)
    estimator: FlowEstimator | None = None

    def needs(self) -> Sequence[str]:
        """OpenCV, or RAFT's weights and torchvision."""
        if self.config.estimator == "farneback":
            return ()
        absent = []
        if find_spec("torchvision") is None:
            absent.append("motion needs torchvision (BSD-3-Clause): pip install torchvision")
        weights = self.config.weights
        if weights is None or not Path(weights).is_file():
            where = "at no place, as motion.weights is not set" if weights is None else weights
            need = Need(
                "RAFT, torchvision's raft_large_C_T_SKHT_V2 as a .pth file",
                f"searched {where}; published at https://download.pytorch.org/models/",
                "20 MB",
                "BSD-3-Clause",
            )
            absent.append(need.sentence(self.name))
        return absent

    def open(self) -> None:
        """Load the estimator."""
        config = self.config
        device: Any = config.device if config.estimator == "raft" else "cpu"
        self.estimator = load_estimator(config.estimator, config.weights, device)

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """The candidate with its `flow`."""
        if self.estimator is None:
            self.open()
        assert self.estimator is not None
        scale = self.config.scale
        scale = SCALES[self.config.estimator] if scale is None else scale
        flow = scale * mean_flow(self.estimator, candidate)
        found = candidate.with_scores(flow=flow)
        if not flow > self.config.above:
            least = self.config.above
            found = found.drop(self.name, f"its flow is {flow:.2f}, expected more than {least:g}")
        return (found,)


def mean_flow(estimator: FlowEstimator, candidate: Candidate) -> float:
    """Mean size of both components of the flow, in pixels at `SIZE`, over ten frames each.

    Frames 0, 10, 20 and 30 are compared as in Open-Sora's score. In clips that are shorter they lie
    nearer, and the flow is brought to ten frames.

    Raises:
        ValueError: if the candidate has one frame.
    """
    count = candidate.frame_count
    if count < 2:
        raise ValueError(f"it has {count} frame, expected two or more to see what moves")
    apart = max(1, min(_APART, (count - 1) // (_FRAMES - 1)))
    places = [place for place in range(0, apart * _FRAMES, apart) if place < count]
    size = SIZE if candidate.width >= candidate.height else (SIZE[1], SIZE[0])
    pictures = [_resized(frame, size) for frame in candidate.frames(places, min(SIZE) * 2)]
    flows = [float(estimator.estimate(a, b).abs().mean()) for a, b in pairwise(pictures)]
    return float(np.mean(flows)) * _APART / apart


def _resized(frame: Frames, size: tuple[int, int]) -> torch.Tensor:
    """uint8 [3, H, W] of a frame [h, w, 3]."""
    picture = cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(picture).permute(2, 0, 1)


def build(config: Config) -> Motion:
    """The stage."""
    return Motion(config)
