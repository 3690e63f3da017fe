"""Everything that is measured of one video, with the networks that it takes, loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import summary
from .cases import Case, Subject, pictures_of, real_frames, words
from .clip import Clip
from .colours import bind_shares
from .dynamics import dynamic_degree
from .faces import Faces
from .measuring import TrajectoryReport, measure_trajectories
from .metrics.subject_similarity import subject_similarity
from .metrics.text_similarity import text_similarity
from .metrics.video_similarity import video_similarity
from .subjects import Subjects
from .trackers import Tracker, load

METRICS = {
    "trajectory": "TrajError",
    "text": "Text-S",
    "video": "Vid-S",
    "subject": "Subj-S",
    "face": "Face-S",
    "dynamic": "Dync-D",
    "binding": "Bind accuracy",
}
"""The paper's names, the benchmark's Dync-D, and the bundled model's bind accuracy."""

KEYS = {
    "trajectory": "trajectory_error",
    "text": "text_similarity",
    "video": "video_similarity",
    "subject": "subject_similarity",
    "face": "face_similarity",
    "dynamic": "dynamic_degree",
    "binding": "bind_accuracy",
}


@dataclass(frozen=True)
class Weights:
    """Where the networks are.

    Attributes:
        clip: folder of CLIP ViT-L/14, for Text-S and Vid-S.
        subjects: folder with `grounding`, `sam` and `dino`, for Subj-S.
        faces: folder of insightface's ONNX files, for Face-S.
        raft: file of torchvision's RAFT, for Dync-D.
        tracker: file of the tracker's weights, for the trackers that have some.
    """

    clip: Path | None = None
    subjects: Path | None = None
    faces: Path | None = None
    raft: Path | None = None
    tracker: Path | None = None


_NEEDED = {
    "text": ("clip", "CLIP ViT-L/14", "FOLDER"),
    "video": ("clip", "CLIP ViT-L/14", "FOLDER"),
    "subject": ("subjects", "Grounding DINO, SAM and DINO", "FOLDER"),
    "face": ("faces", "a face detector and ArcFace", "FOLDER"),
    "dynamic": ("raft", "RAFT", "FILE"),
}


def check_weights(metrics: Sequence[str], weights: Weights, option: str = "--{}") -> None:
    """Refuse metrics whose weights are not given.

    Args:
        metrics: of `METRICS`.
        weights: what is given.
        option: how the user gives a name, such as `--clip`.
    """
    for metric in metrics:
        if metric in _NEEDED and getattr(weights, _NEEDED[metric][0]) is None:
            name, what, kind = _NEEDED[metric]
            raise ValueError(
                f"the metric {metric} needs {what}, expected {option.format(name)} {kind}"
            )


class Scorer:
    """Measures videos.

    Args:
        metrics: of `METRICS`.
        weights: of their networks.
        tracker: a name of `trackers()`.
        anchor: `path` or `thing`; by default `thing` for lucas_kanade alone.

    Raises:
        ValueError, OSError: in words, what is not here or cannot be loaded.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        weights: Weights,
        tracker: str = "lucas_kanade",
        anchor: str | None = None,
    ) -> None:
        check_weights(metrics, weights)
        self.metrics = tuple(metrics)
        self.tracker: Tracker | None = None
        if "trajectory" in metrics:
            self.tracker = load(tracker, weights.tracker)
        self.anchor = anchor or ("thing" if tracker == "lucas_kanade" else "path")
        self.clip = (
            Clip.from_folder(weights.clip) if weights.clip and self._any("text", "video") else None
        )
        self.subjects = (
            Subjects.from_folder(weights.subjects)
            if weights.subjects and self._any("subject")
            else None
        )
        self.faces = _faces(weights.faces) if weights.faces and self._any("face") else None
        self.raft = _raft(weights.raft) if weights.raft and self._any("dynamic") else None

    def _any(self, *names: str) -> bool:
        return any(name in self.metrics for name in names)

    def trajectories(self, frames: Tensor, case: Case) -> TrajectoryReport:
        """How a video kept to the paths of its case; see `measure_trajectories`."""
        if self.tracker is None or case.document is None:
            raise ValueError("the case has no paths, expected a trajectory document")
        return measure_trajectories(
            frames, case.document, self.tracker, pictures_of(case.subjects), self.anchor
        )

    def similarities(self, frames: Tensor, fps: float, case: Case, metric: str) -> dict[str, Any]:
        """The figure of one of the other metrics, by its key.

        Args:
            frames: uint8 [T, H, W, 3].
            fps: frames per second.
            case: what was asked for.
            metric: of `METRICS`, but not `trajectory`.

        Raises:
            ValueError: says in words what the case lacks for it.
        """
        if metric == "text":
            assert self.clip is not None
            if not case.prompt:
                raise ValueError("the case has no prompt, expected one for Text-S")
            return {KEYS[metric]: text_similarity(self.clip.text(case.prompt), self._seen(frames))}
        if metric == "video":
            assert self.clip is not None
            references = self.clip.frames(real_frames(case))
            return {KEYS[metric]: video_similarity(self._seen(frames), references)}
        if metric == "dynamic":
            return {KEYS[metric]: float(dynamic_degree(frames, fps, self.raft))}
        if metric == "binding":
            return _binding(frames, case)
        return self._subject(frames, case) if metric == "subject" else self._face(frames, case)

    def _seen(self, frames: Tensor) -> Tensor:
        """CLIP's embeddings of a video, once for the metrics that use them."""
        assert self.clip is not None
        known = getattr(self, "_known", None)
        if known is None or known[0] is not frames:
            known = self._known = frames, self.clip.frames(frames)
        return known[1]

    def _subject(self, frames: Tensor, case: Case) -> dict[str, Any]:
        from ..encoders.pictures import load_picture

        assert self.subjects is not None
        shown = [subject for subject in case.subjects if subject.images]
        if not shown:
            raise ValueError("no entity has a picture, expected at least one for Subj-S")
        references = {
            subject.word: self.subjects.embed(
                [load_picture(p) for p in subject.images], subject.word
            )
            for subject in shown
        }
        found = self.subjects.embedded(frames, list(references))
        return {
            KEYS["subject"]: subject_similarity(found, references),
            "subjects": {
                subject.id: subject_similarity(found, {subject.word: references[subject.word]})
                for subject in shown
            },
        }

    def _face(self, frames: Tensor, case: Case) -> dict[str, Any]:
        from ..encoders.pictures import load_picture

        assert self.faces is not None
        person = the_person(case.subjects)
        crops = bool(person.faces)
        pictures = [load_picture(path) for path in person.faces or person.images]
        references = self.faces.embed(pictures, crops)
        return {KEYS["face"]: self.faces.similarity(frames, references)}


def _binding(frames: Tensor, case: Case) -> dict[str, Any]:
    """Bind accuracy, of all points and of each entity's."""
    if case.document is None:
        raise ValueError("the case has no paths, expected some for the bind accuracy")
    found = bind_shares(frames, case.document, pictures_of(case.subjects))
    points = sum(count for _, count in found.values())
    return {
        KEYS["binding"]: sum(right for right, _ in found.values()) / points,
        "bound": {name: right / count for name, (right, count) in found.items()},
    }


def the_person(subjects: Sequence[Subject]) -> Subject:
    """Whose face Face-S is about: the recipe finds one face in a frame, and asks no name of it.

    Raises:
        ValueError: unless exactly one is said to be human, or has pictures of a face; or is there
            at all.
    """
    people = [s for s in subjects if s.faces] or [s for s in subjects if s.kind == "human"]
    people = people or [subject for subject in subjects if subject.kind == "auto"]
    shown = [subject for subject in people if subject.faces or subject.images]
    if len(shown) != 1:
        words = ", ".join(subject.word for subject in shown) or "nobody"
        raise ValueError(
            f"Face-S is about one face, and {words} could be meant: expected one entity of the "
            "kind human with pictures"
        )
    return shown[0]


def path_figures(report: TrajectoryReport, case: Case) -> dict[str, Any]:
    """`summary.figures` of a case, and the paths themselves."""
    assert case.document is not None
    rows = zip(
        report.anchors, report.requested.points, report.measured, report.counted, strict=True
    )
    paths = {
        name: {
            "requested": _rounded(requested, counted),
            "measured": _rounded(measured, counted),
        }
        for name, requested, measured, counted in rows
    }
    return {**summary.figures(report, case.document, words(case)), "paths": paths}


def _rounded(points: Tensor, counted: Tensor) -> list[list[float] | None]:
    """[T, 2] pixels to a tenth; None where a path does not count or nothing was found."""
    kept = (counted & points.isfinite().all(-1)).tolist()
    return [
        [round(x, 1), round(y, 1)] if known else None
        for known, (x, y) in zip(kept, points.tolist(), strict=True)
    ]


def _faces(folder: Path) -> Faces:
    from ..encoders.face import InsightFace

    networks = InsightFace(folder, "cuda" if torch.cuda.is_available() else "cpu")
    return Faces(networks, networks)


def _raft(file: Path) -> Any:
    return load("raft", file).model  # type: ignore[attr-defined]
