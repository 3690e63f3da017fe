"""Keeps clips that look good: the aesthetic score must surpass 5 (section 3.3; 5.5 in Tora).

The mean over the first, middle and last frame of the public head over CLIP ViT-L/14's embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ...settings import Within
from ..candidate import Candidate
from ..moments import QUALITY, moments
from ..pretrained import FOLDER, Published, memory, on_gpu
from ..stage import Need, Resources

CLIP = Published("CLIP ViT-L/14", "openai/clip-vit-large-patch14", "1.71 GB", "MIT")
HEAD = "sac+logos+ava1-l14-linearMSE.pth"
_HEAD_PAGE = "github.com/christophschuhmann/improved-aesthetic-predictor"


@dataclass(frozen=True)
class Config:
    """The section `aesthetic` of the settings.

    Attributes:
        model: folder of CLIP ViT-L/14; searched if not given.
        head: file of the linear head; `models/sac+logos+ava1-l14-linearMSE.pth` if not given.
        least: what the score must surpass.
        device: `auto` or `cpu`; CLIP takes a GPU where there is one.
        gpus: share of a GPU that a worker takes, where it runs on one.
    """

    model: str | None = None
    head: str | None = None
    least: Annotated[float, Within(0, 10)] = 5.0
    device: str = "auto"
    gpus: Annotated[float, Within(0, 1)] = 0.1


class Aesthetic:
    """See the module. Score: `aesthetic`, about 1 to 10."""

    name = "aesthetic"

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def head(self) -> Path:
        """The head's file."""
        return Path(self.config.head or Path(FOLDER, HEAD))

    @property
    def resources(self) -> Resources:
        """See `Stage`."""
        gpus = self.config.gpus if on_gpu(self.config.device) else 0
        return Resources(1, gpus, memory(CLIP.find(self.config.model)))

    def needs(self) -> Sequence[str]:
        """See `Stage`."""
        absent = list(CLIP.needs(self.config.model, "aesthetic.model"))
        if not self.head.is_file():
            where = f"searched in {self.head} (the setting aesthetic.head); published at "
            where += f"{_HEAD_PAGE}, and never fetched for you"
            absent.append(Need("the linear head over CLIP", where, "3.7 MB", "Apache-2.0"))
        return [need.sentence(self.name) for need in absent]

    def open(self) -> None:
        """See `Stage`."""
        from ...device import resolve_device
        from ...evaluation.clip import Clip
        from ..aesthetic_head import read_head

        folder = CLIP.folder(self.config.model)
        self.clip = Clip.from_folder(folder)
        self.clip.model = self.clip.model.to(resolve_device(self.config.device))
        self.scorer = read_head(self.head)
        width = self.clip.model.config.projection_dim
        if width != self.scorer.width:
            raise ValueError(
                f"{self.head} takes embeddings of {self.scorer.width} numbers and {folder} gives "
                f"{width}, expected a head and a CLIP that belong together"
            )

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """See `Stage`."""
        import torch

        frames = candidate.frames(moments(candidate.frame_count, QUALITY))
        with torch.inference_mode():
            score = float(self.scorer(self.clip.frames(torch.tensor(frames))).mean())
        candidate = candidate.with_scores(aesthetic=score)
        if not score > self.config.least:
            reason = f"its aesthetic score is {score:.2f}, expected more than {self.config.least:g}"
            return [candidate.drop(self.name, reason)]
        return [candidate]


def build(config: Config) -> Aesthetic:
    """The stage."""
    return Aesthetic(config)
