"""Cut a video where its shots change: PySceneDetect's detectors, TransNetV2 where its file is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from ...settings import Within
from ..candidate import Candidate, Frames
from ..reading import Unreadable
from ..scanning import observe, scan
from ..stage import Need, Resources


@dataclass(frozen=True)
class Config:
    """How shots are told apart, and how long they may be.

    Attributes:
        detector: PySceneDetect's `adaptive` (its default) or `content`, or `transnetv2`.
        threshold: of the detector; its own by default.
        weights: TransNetV2 as an .onnx file.
        shortest: seconds; what is shorter is dropped, and cuts are no nearer to each other.
        longest: seconds; longer shots become several clips.
    """

    detector: Literal["adaptive", "content", "transnetv2"] = "adaptive"
    threshold: float | None = None
    weights: str | None = None
    shortest: Annotated[float, Within(0, 3600)] = 0.5
    longest: Annotated[float, Within(0.1, 3600)] = 20.0


_THRESHOLDS = {"adaptive": 3.0, "content": 27.0, "transnetv2": 0.5}  # PySceneDetect's own


class Cuts:
    """Feeds a detector of PySceneDetect with the frames of one video."""

    def __init__(self, config: Config, fps: float) -> None:
        from scenedetect.common import FrameTimecode

        self._timecode: Any = FrameTimecode
        self._fps = float(fps)
        self._detector: Any = detector(config, fps)
        self._times: dict[int, float] = {}
        self._cuts: list[float] = []
        self._place = -1

    def see(self, place: int, seconds: float, picture: Frames) -> None:
        """See `Observer`."""
        self._place, self._times[place] = place, seconds
        self._times.pop(place - 1000, None)  # a cut is told of a few frames late
        code = self._timecode(place, fps=self._fps)
        bgr = np.ascontiguousarray(picture[..., ::-1])
        self._take(self._detector.process_frame(code, bgr))

    def result(self) -> list[float]:
        """Seconds at which shots begin, but for the first."""
        if self._place >= 0:
            last = self._timecode(self._place, fps=self._fps)
            self._take(self._detector.post_process(last))
        return sorted(set(self._cuts))

    def _take(self, found: Sequence[Any]) -> None:
        self._cuts += [self._times[cut.frame_num] for cut in found if cut.frame_num in self._times]


def detector(config: Config, fps: float) -> Any:
    """PySceneDetect's detector; cuts are at least `shortest` seconds apart."""
    from scenedetect.detectors import AdaptiveDetector, ContentDetector

    least = max(1, round(config.shortest * fps))
    threshold = config.threshold
    if threshold is None:
        threshold = _THRESHOLDS[config.detector]
    if config.detector == "adaptive":
        return AdaptiveDetector(adaptive_threshold=threshold, min_scene_len=least)
    if config.detector == "content":
        return ContentDetector(threshold=threshold, min_scene_len=least)
    from scenedetect.detectors.transnet_v2 import TransnetV2Detector

    return TransnetV2Detector(config.weights, threshold=threshold, min_scene_len=least)


@dataclass(frozen=True)
class Shots:
    """See the module."""

    config: Config
    name = "shots"
    resources: Resources = field(default_factory=Resources)

    def needs(self) -> Sequence[str]:
        """PySceneDetect, and TransNetV2's file and ONNX Runtime where it is asked for."""
        absent = []
        if find_spec("scenedetect") is None:
            absent.append(
                "shots needs PySceneDetect (1 MB, BSD-3-Clause): "
                "pip install 'comfyui-tora2[curation]'"
            )
        if self.config.detector == "transnetv2":
            if find_spec("onnxruntime") is None:
                absent.append("shots needs ONNX Runtime (20 MB, MIT): pip install onnxruntime")
            weights = self.config.weights
            if weights is None or not Path(weights).is_file():
                where = "at no place, as shots.weights is not set" if weights is None else weights
                need = Need(
                    "TransNetV2 as an .onnx file",
                    f"searched {where}; published at https://github.com/soCzech/TransNetV2 and "
                    "converted at https://github.com/Breakthrough/PySceneDetect",
                    "30 MB",
                    "MIT",
                )
                absent.append(need.sentence(self.name))
        return absent

    def open(self) -> None:
        """The detector sees the frames while `decode` decodes them."""
        observe(self.name, lambda fps: Cuts(self.config, fps))

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """A candidate for each shot."""
        found = scan(candidate.source)
        if found.damage is not None:
            raise Unreadable(found.damage)
        if candidate.fps <= 0:  # without the stage decode
            candidate = replace(
                candidate,
                end=min(candidate.end or found.end, found.end),
                width=found.width,
                height=found.height,
                fps=found.fps,
            )
        for start, end in shots(candidate, found.seen[self.name], self.config.longest):
            shot = replace(candidate, start=start, end=end)
            length = end - start
            if length < self.config.shortest - 0.5 / candidate.fps:
                least = self.config.shortest
                shot = shot.drop(self.name, f"it takes {length:.2f} s, expected at least {least:g}")
            yield shot


def shots(candidate: Candidate, cuts: Sequence[float], longest: float) -> list[tuple[float, float]]:
    """From a candidate's start to its end, cut; what is too long in equal parts, frame by frame."""
    inner = [cut for cut in cuts if candidate.start < cut < candidate.end]
    parts = []
    for start, end in pairwise([candidate.start, *inner, candidate.end]):
        count = int(np.ceil((end - start) / longest - 1e-6))
        frames = round((end - start) * candidate.fps)
        ends = [start + frames * part // count / candidate.fps for part in range(1, count)]
        parts += list(pairwise([start, *ends, end]))
    return parts


def build(config: Config) -> Shots:
    """The stage."""
    return Shots(config)
