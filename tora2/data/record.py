"""The clip: what is known of a video, whoever made it and whoever reads it.

SpriteBind, curation and the converters of public sets write it; training and benchmarks read it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fields import (
    child,
    choice,
    finite,
    integer,
    load_json,
    mapping,
    number,
    refuse,
    sequence,
    text,
)
from .masks import decode_mask

VERSION = 1
MAX_RECORD = 64 * 1024 * 1024
MAX_FRAMES, MAX_SIDE, MAX_ENTITIES, MAX_TRACKS, MAX_REFERENCES = 4096, 16384, 64, 64, 64
KINDS = ("human", "object")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REFERENCE = re.compile(r"([A-Za-z0-9_-]{1,64})\.(\d{1,4})")

Points = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ClipTrack:
    """A point of an entity at every frame.

    Attributes:
        points: [T, 2] fractions of width and height, (x, y), origin top-left; may lie off the
            frame.
        visible: [T] bool.
    """

    points: Points
    visible: Flags


@dataclass(frozen=True, eq=False)
class ClipEntity:
    """A person, animal or thing of a clip.

    Attributes:
        id: names it within the clip; letters, digits, `_` and `-`.
        word: what the caption calls it; empty where nobody knows.
        span: where the word stands in the caption, [start, end) characters; None where it does not.
        kind: `human` or `object`.
        references: names of its cut-outs, `<id>.<n>`, each a picture with alpha beside the record.
        tracks: its points.
        masks: run lengths of its mask at some frames, as `masks.decode_mask` reads them.
    """

    id: str
    word: str
    span: tuple[int, int] | None = None
    kind: str = "object"
    references: tuple[str, ...] = ()
    tracks: tuple[ClipTrack, ...] = ()
    masks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClipSource:
    """The video that a clip was cut from; times in seconds."""

    file: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True, eq=False)
class ClipRecord:
    """One clip; width and height in pixels, `frames` at `fps` a second.

    Attributes:
        scores: what curation measured, such as `flow` and `aesthetic`.
        source: where it comes from; None for drawn clips.
    """

    caption: str
    width: int
    height: int
    frames: int
    fps: float
    entities: tuple[ClipEntity, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    source: ClipSource | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, which `parse_record` reads."""
        values: dict[str, Any] = {
            "version": VERSION,
            "caption": self.caption,
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "fps": self.fps,
            "entities": [_entity_values(entity) for entity in self.entities],
            "scores": dict(self.scores),
        }
        if self.source is not None:
            values["source"] = dict(vars(self.source))
        return values


def _entity_values(entity: ClipEntity) -> dict[str, Any]:
    return {
        "id": entity.id,
        "word": entity.word,
        "span": None if entity.span is None else list(entity.span),
        "kind": entity.kind,
        "references": list(entity.references),
        "tracks": [
            {
                "points": [[round(x, 6), round(y, 6)] for x, y in track.points.tolist()],
                "visible": track.visible.tolist(),
            }
            for track in entity.tracks
        ],
        "masks": {str(frame): runs for frame, runs in entity.masks.items()},
    }


def parse_record(value: object) -> ClipRecord:
    """Read a clip's JSON, text or plain values.

    Raises:
        ValueError: names what is malformed; unknown keys and versions are refused.
    """
    if isinstance(value, str | bytes):
        value = load_json(value, "a clip", MAX_RECORD)
    fields = mapping(
        value,
        "",
        ("version", "caption", "width", "height", "frames", "fps"),
        ("entities", "scores", "source"),
    )
    if fields["version"] != VERSION or isinstance(fields["version"], bool):
        raise refuse("version", fields["version"], f"{VERSION}, the only one there is")
    width = integer(fields["width"], "width", 1, MAX_SIDE)
    height = integer(fields["height"], "height", 1, MAX_SIDE)
    frames = integer(fields["frames"], "frames", 1, MAX_FRAMES)
    caption = text(fields["caption"], "caption", 20_000, low=0, lines=True)
    entities = tuple(
        _entity(item, f"entities[{place}]", caption, frames, (height, width))
        for place, item in enumerate(
            sequence(fields.get("entities", ()), "entities", 0, MAX_ENTITIES)
        )
    )
    ids = [entity.id for entity in entities]
    for place, identifier in enumerate(ids):
        if identifier in ids[:place]:
            raise refuse(f"entities[{place}].id", identifier, "an id that occurs once")
    scores = _any_mapping(fields.get("scores", {}), "scores", 64)
    source = fields.get("source")
    return ClipRecord(
        caption=caption,
        width=width,
        height=height,
        frames=frames,
        fps=number(fields["fps"], "fps", 0.01, 1000),
        entities=entities,
        scores={key: finite(score, child("scores", key)) for key, score in scores.items()},
        source=None if source is None else _source(source),
    )


def _any_mapping(value: object, path: str, high: int) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or len(value) > high:
        raise refuse(path, value, f"an object of at most {high} keys")
    for key in value:
        text(key, f"a key of {path}", 64)
    return value


def _source(value: object) -> ClipSource:
    fields = mapping(value, "source", ("file",), ("start", "end"))
    return ClipSource(
        text(fields["file"], "source.file", 4096),
        finite(fields.get("start", 0.0), "source.start"),
        finite(fields.get("end", 0.0), "source.end"),
    )


def _entity(
    value: object, path: str, caption: str, frames: int, size: tuple[int, int]
) -> ClipEntity:
    names = ("span", "kind", "references", "tracks", "masks")
    fields = mapping(value, path, ("id", "word"), names)
    identifier = fields["id"]
    if not isinstance(identifier, str) or not _NAME.fullmatch(identifier):
        raise refuse(child(path, "id"), identifier, "1 to 64 letters, digits, _ or -")
    references = tuple(
        _reference(name, f"{path}.references[{place}]", identifier)
        for place, name in enumerate(
            sequence(fields.get("references", ()), child(path, "references"), 0, MAX_REFERENCES)
        )
    )
    tracks = sequence(fields.get("tracks", ()), child(path, "tracks"), 0, MAX_TRACKS)
    return ClipEntity(
        id=identifier,
        word=text(fields["word"], child(path, "word"), 200, low=0),
        span=_span(fields.get("span"), child(path, "span"), caption),
        kind=choice(fields.get("kind", "object"), child(path, "kind"), KINDS),
        references=references,
        tracks=tuple(
            _track(track, f"{path}.tracks[{place}]", frames) for place, track in enumerate(tracks)
        ),
        masks=_masks(fields.get("masks", {}), child(path, "masks"), frames, size),
    )


def _reference(value: object, path: str, entity: str) -> str:
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1] != entity:
        raise refuse(path, value, f"{entity}. and a number, the name of a cut-out")
    return found[0]


def _span(value: object, path: str, caption: str) -> tuple[int, int] | None:
    if value is None:
        return None
    ends = sequence(value, path, 2, 2)
    start = integer(ends[0], f"{path}[0]", 0, len(caption))
    return start, integer(ends[1], f"{path}[1]", start, len(caption))


def _track(value: object, path: str, frames: int) -> ClipTrack:
    fields = mapping(value, path, ("points", "visible"))
    points = sequence(fields["points"], child(path, "points"), frames, frames)
    visible = sequence(fields["visible"], child(path, "visible"), frames, frames)
    values = np.empty((frames, 2), np.float32)
    for place, point in enumerate(points):
        pair = isinstance(point, list | tuple) and len(point) == 2
        if not pair or not all(_is_coordinate(v) for v in point):  # type: ignore[attr-defined]
            raise refuse(f"{path}.points[{place}]", point, "[x, y], fractions within 1000")
        values[place] = point  # type: ignore[call-overload]
    for place, flag in enumerate(visible):
        if not isinstance(flag, bool):
            raise refuse(f"{path}.visible[{place}]", flag, "true or false")
    return ClipTrack(values, np.array(visible, dtype=bool))


def _is_coordinate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 1000 and math.isfinite(value)


def _masks(value: object, path: str, frames: int, size: tuple[int, int]) -> dict[int, str]:
    masks: dict[int, str] = {}
    for key, runs in _any_mapping(value, path, frames).items():
        if not (key.isdecimal() and key.isascii() and len(key) < 6 and int(key) < frames):
            raise refuse(f"a key of {path}", key, f"a frame from 0 to {frames - 1}")
        if not isinstance(runs, str):
            raise refuse(child(path, key), runs, "run lengths as text")
        decode_mask(runs, size)
        masks[int(key)] = runs
    return masks
