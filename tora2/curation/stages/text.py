"""Drops clips in which much of the picture is text (section 3.3: "an excessive number of words").

The paper names no tool and no number; PP-OCRv5's detector and a fiftieth of the picture are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from ...settings import Within
from ..candidate import Candidate, Frames
from ..coverage import covered
from ..moments import QUALITY, moments
from ..pretrained import Published, load_model, load_part, memory, on_gpu
from ..stage import Need, Resources

DETECTOR = Published(
    "PP-OCRv5's text detector",
    "PaddlePaddle/PP-OCRv5_server_det_safetensors",
    "88 MB",
    "Apache-2.0",
)
_EXPECTED = "a text detector of transformers such as PP-OCRv5_server_det or PP-OCRv5_mobile_det"


@dataclass(frozen=True)
class Config:
    """The section `text` of the settings.

    Attributes:
        model: folder of the detector; searched if not given.
        most_area: share of the picture that text may cover in any of three frames.
        most_boxes: pieces of text that may be in any of them.
        threshold: of the detector's map, above which a pixel is text.
        box_threshold: mean of the map within a box from which it counts.
        device: `auto`, `cpu` or a GPU such as `cuda`.
        gpus: share of a GPU that a worker takes, where it runs on one.
    """

    model: str | None = None
    most_area: Annotated[float, Within(0, 1)] = 0.02
    most_boxes: Annotated[int, Within(0, 1000)] = 1000
    threshold: Annotated[float, Within(0, 1)] = 0.3
    box_threshold: Annotated[float, Within(0, 1)] = 0.6
    device: str = "auto"
    gpus: Annotated[float, Within(0, 1)] = 0.1


class Text:
    """See the module. Scores: `text_area` and `text_boxes`, of the frame that has most."""

    name = "text"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.processor: Any = None
        self.model: Any = None

    @property
    def resources(self) -> Resources:
        """See `Stage`."""
        gpus = self.config.gpus if on_gpu(self.config.device) else 0
        return Resources(1, gpus, memory(DETECTOR.find(self.config.model)))

    def needs(self) -> Sequence[str]:
        """See `Stage`."""
        absent = list(DETECTOR.needs(self.config.model, "text.model"))
        try:
            import cv2  # noqa: F401
            import torchvision  # noqa: F401
            from transformers import PPOCRV5ServerDetConfig  # noqa: F401
        except ImportError as error:
            where = f"pip install -U transformers torchvision 'comfyui-tora2[curation]' ({error})"
            licence = "Apache-2.0 and BSD-3-Clause"
            absent.append(Need("transformers with PP-OCRv5", where, "100 MB", licence))
        return [need.sentence(self.name) for need in absent]

    def open(self) -> None:
        """See `Stage`."""
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        folder = DETECTOR.folder(self.config.model)
        self.processor = load_part(AutoImageProcessor, folder, _EXPECTED)
        self.model = load_model(AutoModelForObjectDetection, folder, _EXPECTED, self.config.device)
        if not hasattr(self.processor, "get_image_size"):
            raise ValueError(f"{folder} finds objects and no text, expected {_EXPECTED}")

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """See `Stage`."""
        frames = candidate.frames(moments(candidate.frame_count, QUALITY))
        boxes = self.boxes(frames)
        area = max(covered(found, frames.shape[1:3]) for found in boxes)
        count = max(len(found) for found in boxes)
        candidate = candidate.with_scores(text_area=area, text_boxes=float(count))
        if area > self.config.most_area:
            reason = f"text covers {area:.1%} of it, expected {self.config.most_area:.1%} at most"
            return [candidate.drop(self.name, reason)]
        if count > self.config.most_boxes:
            reason = f"{count} pieces of text, expected {self.config.most_boxes} at most"
            return [candidate.drop(self.name, reason)]
        return [candidate]

    def boxes(self, frames: Frames) -> list[npt.NDArray[np.int16]]:
        """[N, 4, 2] corners of the text in each of frames uint8 [T, H, W, 3], in pixels."""
        import torch

        inputs = self.processor(
            images=list(torch.tensor(frames).movedim(-1, 1)), return_tensors="pt"
        )
        with torch.inference_mode():
            outputs = self.model(pixel_values=inputs["pixel_values"].to(self.model.device))
        found = self.processor.post_process_object_detection(
            outputs,
            threshold=self.config.threshold,
            box_threshold=self.config.box_threshold,
            target_sizes=inputs["target_sizes"],
        )
        return [one["boxes"].cpu().numpy().reshape(-1, 4, 2) for one in found]


def build(config: Config) -> Text:
    """The stage."""
    return Text(config)
