"""SAM 3 (Meta, 2025): masks of what a word names, at once; in place of the paper's LISA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..candidate import Frames
from ..pretrained import Published, load_model, load_part, memory
from ..stage import Need
from . import Instances, Setup

SAM3 = Published(
    "SAM 3", "facebook/sam3", "3.4 GB", "SAM License, to be accepted on its page first"
)
_EXPECTED = "SAM 3 as transformers saves it (facebook/sam3)"
_TOKENS = 32


class Sam3:
    """See the module."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.processor: Any = None
        self.model: Any = None
        self._frames: Frames | None = None
        self._encoded: Any = None

    def needs(self) -> Sequence[Need]:
        """See `Segmenter`."""
        needs = SAM3.needs(self.setup.model, "masks.model")
        try:
            from transformers import Sam3Model  # noqa: F401
        except ImportError as error:
            where = f"pip install -U 'comfyui-tora2[curation]' ({error})"
            needs.append(Need("transformers 5 with SAM 3", where, "20 MB", "Apache-2.0"))
        return needs

    def memory(self) -> int:
        """See `Segmenter`."""
        return memory(SAM3.find(self.setup.model))

    def open(self) -> None:
        """See `Segmenter`."""
        from transformers import Sam3Model, Sam3Processor

        folder = SAM3.folder(self.setup.model)
        self.processor = load_part(Sam3Processor, folder, _EXPECTED)
        self.model = load_model(Sam3Model, folder, _EXPECTED, self.setup.device)

    def segment(self, frames: Frames, word: str) -> Sequence[Instances]:
        """See `Segmenter`; frames that are asked about again are not encoded again."""
        import torch

        device = self.model.device
        # The processor pads to the 32 tokens that SAM 3 reads and does not cut.
        words = self.processor(text=[word] * len(frames), return_tensors="pt").to(device)
        with torch.inference_mode():
            if frames is not self._frames:
                pictures = self.processor(
                    images=list(torch.tensor(frames).movedim(-1, 1)), return_tensors="pt"
                )
                pixels = pictures["pixel_values"].to(device)
                self._encoded = self.model.get_vision_features(pixel_values=pixels)
                self._frames = frames
            outputs = self.model(
                vision_embeds=self._encoded,
                input_ids=words["input_ids"][:, :_TOKENS],
                attention_mask=words["attention_mask"][:, :_TOKENS],
            )
        size = frames.shape[1:3]
        found = self.processor.post_process_instance_segmentation(
            outputs, threshold=self.setup.confidence, target_sizes=[size] * len(frames)
        )
        return [
            Instances(
                one["masks"].cpu().numpy().astype(bool).reshape(-1, *size),
                one["scores"].float().cpu().numpy().astype(np.float32),
            )
            for one in found
        ]


def build(setup: Setup) -> Sam3:
    """The segmenter."""
    return Sam3(setup)
