"""What is asked of a video, whichever benchmark asks it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..scene import Scene
from ..trajectory import TrajectoryDocument


@dataclass(frozen=True)
class Subject:
    """Somebody or something that the video must show.

    Attributes:
        id: of its entity in the document, if it has one there.
        word: what it is called.
        kind: `auto`, `human` or `object`; what is not said to be human counts as a thing.
        images: its reference pictures; where they have transparency, what is opaque is meant.
        faces: pictures that are faces already, as a benchmark cropped them.
    """

    id: str
    word: str
    kind: str = "auto"
    images: tuple[Path, ...] = ()
    faces: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Case:
    """One video that is asked for.

    Attributes:
        name: of the case; videos and figures are found by it.
        prompt: the caption; "" where there is none.
        document: the paths, if any.
        subjects: what it must show.
        frames: pictures of the real video that the caption describes, for Vid-S.
        video: that video itself, where frames are not given.
        scene: what a pipeline generates it from, if it is one.
    """

    name: str
    prompt: str = ""
    document: TrajectoryDocument | None = None
    subjects: tuple[Subject, ...] = ()
    frames: tuple[Path, ...] = ()
    video: Path | None = None
    scene: Scene | None = None


def of_scene(scene: Scene, name: str = "", video: str | os.PathLike[str] | None = None) -> Case:
    """The case of a scene; `video` is the real one that it was taken from, if any."""
    return Case(
        name=name,
        prompt=scene.prompt,
        document=scene.trajectories,
        subjects=tuple(
            Subject(entity.id, entity.word, entity.kind, entity.images) for entity in scene.entities
        ),
        video=None if video is None else Path(video),
        scene=scene,
    )


def of_document(document: TrajectoryDocument, name: str = "") -> Case:
    """The case of paths alone."""
    return Case(name=name, document=document)


def words(case: Case) -> dict[str, str]:
    """What entities are called, by id: the case's words, else the document's names."""
    named = () if case.document is None else case.document.entities
    return {entity.id: entity.name for entity in named} | {
        subject.id: subject.word for subject in case.subjects
    }


def pictures_of(subjects: Sequence[Subject]) -> dict[str, Tensor]:
    """uint8 [3, H, W] by entity, for trackers that go by looks."""
    from ..encoders.pictures import load_picture, on_white

    return {
        subject.id: on_white(load_picture(subject.images[0]))
        for subject in subjects
        if subject.images
    }


def real_frames(case: Case) -> Tensor:
    """uint8 [R, H, W, 3] of the real video.

    Raises:
        ValueError: if the case has none.
    """
    from ..encoders.pictures import load_picture, on_white
    from ..video import read_video
    from .clip import reference_frames

    if case.frames:
        pictures = [on_white(load_picture(path)).movedim(0, -1) for path in case.frames]
        if len({picture.shape for picture in pictures}) > 1:
            raise ValueError(
                f"the frames of {case.name} have several sizes, expected those of one video"
            )
        return torch.stack(pictures)
    if case.video is None:
        raise ValueError("Vid-S compares two videos, expected frames of the real one")
    return reference_frames(read_video(case.video)[0])
