"""Where a benchmark's cases come from: scenes, MSRVTT-Personalization, DreamVideo-Omni.

Each reader takes a folder and gives its cases, by name and in order. SpriteBind's are scenes that
are drawn first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.record import ClipRecord, ClipTrack
from ..encoders.routing import names_person
from ..fields import load_json, sequence, text
from ..files import read_bounded
from ..scene import load_scene
from ..trajectory import TrajectoryDocument
from ..trajectory.document import GRID, MAX_ENTITIES, MAX_FRAMES, MAX_TRACKS, PALETTE, Entity, Track
from ..trajectory.resizing import resized
from .cases import Case, Subject, of_scene
from .fitting import fit, spans

_MAX_TEXT = 1 << 20
_FINE = 0.5  # pixels by which a fitted path may leave the points of a set
_UNNAMED = re.compile(r"[^A-Za-z0-9_.-]")


def scenes(folder: Path) -> Iterator[Case]:
    """Scene files: one, or all `*.json` of a folder and of its folders.

    A real video beside a scene, `<name>.mp4`, is what Vid-S compares with.
    """
    files = (
        [folder] if folder.is_file() else sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
    )
    for file in files:
        name = (
            file.stem
            if file.parent == folder or folder.is_file()
            else f"{file.parent.name}-{file.stem}"
        )
        yield _of_scene_file(file, name)


def spritebind(folder: Path, split: str, seed: int, count: int) -> Iterator[Case]:
    """The first clips of a split of SpriteBind, which are drawn into the folder; see `drawn`."""
    from .drawn import draw

    for file in draw(folder, split, seed, count):
        yield _of_scene_file(file, file.stem)


def msrvtt(folder: Path) -> Iterator[Case]:
    """MSRVTT-Personalization's prepared folders, one a clip.

    Each holds `summary_text.txt`, `word_tags.json`, `frame1.jpg` and others of the real video, and
    the cut-outs `<tag>.frameN.png` and `<tag>.face.frameN.png`. The cases have no paths.
    """
    for file in sorted([*folder.glob("word_tags.json"), *folder.glob("*/word_tags.json")]):
        clip = file.parent
        tags = load_json(read_bounded(file, _MAX_TEXT), str(file), _MAX_TEXT)
        if not isinstance(tags, Mapping):
            raise ValueError(f"{file} holds no object, expected tags by kind")
        lists = {
            kind: [text(tag, f"{kind}[{i}]", 200) for i, tag in enumerate(_listed(tags, kind))]
            for kind in ("subject", "object", "subject_with_face")
        }
        subjects = []
        for index, tag in enumerate(dict.fromkeys([*lists["subject"], *lists["object"]])):
            stem = tag.replace(" ", "_").replace("/", "_")
            subjects.append(
                Subject(
                    f"e{index}",
                    tag,
                    "human" if tag in lists["subject_with_face"] or names_person(tag) else "object",
                    _named(clip, stem + ".frame", ".png"),
                    _named(clip, stem + ".face.frame", ".png"),
                )
            )
        caption = read_bounded(clip / "summary_text.txt", _MAX_TEXT).decode("utf-8").strip()
        video = clip / "video.mp4"
        yield Case(
            _name(clip.name),
            caption,
            subjects=tuple(subject for subject in subjects if subject.images),
            frames=_named(clip, "frame", ".jpg"),
            video=video if video.is_file() else None,
        )


def dreamvideo_omni(folder: Path) -> Iterator[Case]:
    """DreamVideo-Omni's cases: captions, tracks and boxes, reference pictures."""
    from ..data.converters.dreamvideo_omni import readers

    for reader in readers(folder):
        found = reader()
        subjects = [
            Subject(
                entity.id,
                entity.word,
                "human" if entity.kind == "human" or names_person(entity.word) else "object",
                tuple(
                    picture
                    for name in entity.references
                    if isinstance(picture := found.pictures[name], Path)
                ),
            )
            for entity in found.record.entities
        ]
        yield Case(
            _name(found.key),
            found.record.caption,
            document_of(found.record),
            tuple(subject for subject in subjects if subject.word),
            video=found.video if isinstance(found.video, Path) else None,
        )


SOURCES: Mapping[str, Callable[[Path], Iterator[Case]]] = {
    "scenes": scenes,
    "msrvtt": msrvtt,
    "dreamvideo_omni": dreamvideo_omni,
}


def document_of(record: ClipRecord) -> TrajectoryDocument | None:
    """The paths of a clip as splines that keep to its points within half a pixel.

    Returns:
        None for a clip without paths, or one that no document can be of.
    """
    entities = [entity for entity in record.entities if entity.tracks][:MAX_ENTITIES]
    if not entities or record.frames > MAX_FRAMES:
        return None
    length = GRID.rounded_frames(record.frames)
    size = record.height, record.width
    tracks: list[Track] = []
    for entity in entities:
        for own in entity.tracks:
            points = own.points.astype(np.float64) * np.array([record.width, record.height])
            for first, last in spans(_usable(own)):
                name = f"t{len(tracks) + 1}"
                part = points[first : last + 1]
                tracks.append(fit(part, first, size, length, name, entity.id, _FINE))
    named = tuple(
        Entity(entity.id, entity.word or entity.id, PALETTE[i % len(PALETTE)])
        for i, entity in enumerate(entities)
    )
    return TrajectoryDocument(
        record.width, record.height, length, tuple(tracks[:MAX_TRACKS]), named, record.fps
    )


def empty_document(width: int, height: int, frames: int, fps: float) -> TrajectoryDocument:
    """A canvas without paths, for a case that has none."""
    return resized(TrajectoryDocument(width, height, frames, fps=fps))


def _of_scene_file(file: Path, name: str) -> Case:
    video = file.with_suffix(".mp4")
    case = of_scene(load_scene(file), _name(name), video if video.is_file() else None)
    return replace(case, subjects=tuple(_kinded(subject) for subject in case.subjects))


def _usable(track: ClipTrack) -> np.ndarray:
    return np.asarray(track.visible & np.isfinite(track.points).all(-1))


def _kinded(subject: Subject) -> Subject:
    """A scene's entity, said to be human where its word says so."""
    human = subject.kind == "auto" and names_person(subject.word)
    return replace(subject, kind="human") if human else subject


def _listed(tags: Mapping[str, object], kind: str) -> list[object]:
    return list(sequence(tags.get(kind, ()), kind, 0, 1000))


def _named(folder: Path, start: str, end: str) -> tuple[Path, ...]:
    """Files `<start><number><end>` by number."""
    pattern = re.compile(re.escape(start) + r"(\d{1,6})" + re.escape(end))
    found = {int(m[1]): p for p in folder.iterdir() if (m := pattern.fullmatch(p.name))}
    return tuple(found[number] for number in sorted(found))


def _name(text: str) -> str:
    return _UNNAMED.sub("-", text)[:100].lstrip(".") or "case"
