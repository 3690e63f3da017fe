"""Grounding DINO finds boxes of what a word names, SAM 2 the masks in them; neither is gated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..candidate import Frames
from ..pretrained import Published, load_model, load_part, memory
from ..stage import Need
from . import Instances, Setup

SAM2 = Published("SAM 2.1", "facebook/sam2.1-hiera-large", "898 MB", "Apache-2.0")
DETECTOR = Published("Grounding DINO", "IDEA-Research/grounding-dino-base", "933 MB", "Apache-2.0")
_SAM2 = "SAM 2 as transformers saves it (facebook/sam2.1-hiera-large)"
_DETECTOR = "Grounding DINO as transformers saves it (IDEA-Research/grounding-dino-base)"
_MOST = 8  # boxes of a frame that get a mask


class GroundedSam2:
    """See the module."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.detector: Any = None
        self.model: Any = None

    def needs(self) -> Sequence[Need]:
        """See `Segmenter`."""
        needs = [
            *SAM2.needs(self.setup.model, "masks.model"),
            *DETECTOR.needs(self.setup.detector, "masks.detector"),
        ]
        try:
            from transformers import Sam2Model  # noqa: F401
        except ImportError as error:
            where = f"pip install -U 'comfyui-tora2[curation]' ({error})"
            needs.append(Need("transformers with SAM 2", where, "20 MB", "Apache-2.0"))
        return needs

    def memory(self) -> int:
        """See `Segmenter`."""
        return memory(SAM2.find(self.setup.model), DETECTOR.find(self.setup.detector))

    def open(self) -> None:
        """See `Segmenter`."""
        from transformers import (
            GroundingDinoForObjectDetection,
            GroundingDinoProcessor,
            Sam2Model,
            Sam2Processor,
        )

        folder, device = DETECTOR.folder(self.setup.detector), self.setup.device
        self.reader = load_part(GroundingDinoProcessor, folder, _DETECTOR)
        self.detector = load_model(GroundingDinoForObjectDetection, folder, _DETECTOR, device)
        folder = SAM2.folder(self.setup.model)
        self.processor = load_part(Sam2Processor, folder, _SAM2)
        self.model = load_model(Sam2Model, folder, _SAM2, device)

    def segment(self, frames: Frames, word: str) -> Sequence[Instances]:
        """See `Segmenter`; a score is that of the box."""
        import torch

        pictures = list(torch.tensor(frames).movedim(-1, 1))
        size = frames.shape[1:3]
        inputs = self.reader(
            images=pictures, text=[f"{word.lower()}."] * len(frames), return_tensors="pt"
        ).to(self.detector.device)
        with torch.inference_mode():
            outputs = self.detector(**inputs)
            found = self.reader.post_process_grounded_object_detection(
                outputs,
                inputs["input_ids"],
                threshold=self.setup.confidence,
                text_threshold=self.setup.confidence,
                target_sizes=[size] * len(frames),
            )
            return [
                self._masks(picture, one["boxes"], one["scores"])
                for picture, one in zip(pictures, found, strict=True)
            ]

    def _masks(self, picture: Any, boxes: Any, scores: Any) -> Instances:
        size = tuple(picture.shape[1:])
        best = scores.argsort(descending=True)[:_MOST]
        boxes, scores = boxes[best].cpu(), scores[best].float().cpu().numpy()
        if not len(boxes):
            return Instances(np.zeros((0, *size), bool), np.zeros(0, np.float32))
        inputs = self.processor(
            images=[picture], input_boxes=[boxes.tolist()], return_tensors="pt"
        ).to(self.model.device)
        outputs = self.model(**inputs, multimask_output=False)
        masks = self.processor.post_process_masks(
            outputs.pred_masks.cpu(), inputs["original_sizes"].cpu()
        )[0]
        return Instances(masks[:, 0].numpy().astype(bool), scores.astype(np.float32))


def build(setup: Setup) -> GroundedSam2:
    """The segmenter."""
    return GroundedSam2(setup)
