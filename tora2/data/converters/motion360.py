"""360Motion-Dataset (KwaiVGI, Apache-2.0): animals on known 3-D paths before twelve cameras.

`<resolution>/<scene>/<take>/<take>.json` has the pose of every object at every frame, beside it
`videos/<take>_C_<camera>_35mm.mp4`; `location_data.json` in each scene, and `CharacterInfo.json`,
`Hemi12_transforms.json` and `RefPic/` in the set's folder or in that of the resolution.

Poses are those of Unreal: rows are vectors, centimetres, x forward, y right, z up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...fields import finite, load_json, show
from ...video import video_size
from ..record import ClipEntity, ClipRecord, ClipSource, ClipTrack
from . import Converted, Reader

Array = npt.NDArray[np.float64]

# Focal lengths in pixels, as the set's page gives them, by (width, height).
FOCAL = {(720, 480): 1060.606, (672, 384): 989.899}
PLACES = {
    "desert": "desert",
    "loc1": "snowy street",
    "loc2": "park",
    "loc3": "indoor open space",
    "loc11": "gymnastics room",
    "loc13": "autumn forest",
}
MAX_JSON = 64 * 1024 * 1024
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NEAR = 0.05
_FPS = 30.0


@dataclass(frozen=True, eq=False)
class _World:
    """What all clips share: prompts by index, camera poses by name, pictures by index."""

    prompts: Mapping[int, str]
    cameras: Mapping[str, Array]
    pictures: Mapping[int, tuple[Path, ...]]


def readers(folder: Path) -> Iterator[Reader]:
    """See `converters.readers`."""
    takes = sorted(folder.glob("*_*/*/*/*.json"))
    takes = [file for file in takes if file.stem == file.parent.name]
    if not takes:
        raise ValueError(
            f"{folder} has no takes, expected <resolution>/<scene>/<take>/<take>.json "
            "of 360Motion-Dataset"
        )
    world = _world(folder, takes[0].parents[2])
    for take in takes:
        for video in sorted((take.parent / "videos").glob(f"{take.stem}_C_*.mp4")):
            yield partial(_read, world, take, video)


def _world(folder: Path, resolution: Path) -> _World:
    def shared(name: str) -> Path:
        places = [place / name for place in (resolution, folder) if (place / name).exists()]
        if not places:
            raise ValueError(f"{folder} has no {name}, expected the whole 360Motion-Dataset")
        return places[0]

    listed = _object(shared("CharacterInfo.json")).get("CharacterInfo")
    prompts = {
        int(str(item["index"])): _prompt(str(item["eng"]))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping) and str(item.get("index")).isdecimal() and "eng" in item
    }
    cameras = {
        name: _pose(matrix, name)
        for name, matrix in _object(shared("Hemi12_transforms.json")).items()
        if name.startswith("C_")
    }
    pictures: dict[int, tuple[Path, ...]] = {}
    for file in sorted(shared("RefPic").rglob("*")):
        index = re.match(r"\D*(\d+)", file.stem)
        if index and file.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"):
            number = int(index[1])
            pictures[number] = (*pictures.get(number, ()), file)
    return _World(prompts, cameras, pictures)


def _prompt(text: str) -> str:
    """`a cat with …` of ` A cat with … .`"""
    return text.strip().removesuffix(".").strip().lower()


def _read(world: _World, take: Path, video: Path) -> Converted:
    width, height, count = video_size(video)
    if (width, height) not in FOCAL:
        sizes = " or ".join(f"{w}x{h}" for w, h in FOCAL)
        raise ValueError(f"{video} is {width}x{height}, expected {sizes}")
    poses = _object(take)
    camera = video.stem.removeprefix(take.stem + "_")
    if camera not in world.cameras:
        raise ValueError(f"{video} was taken by the camera {show(camera)}, which has no pose")
    place = take.stem.split("_")[1]
    origin = _target(take.parents[1] / "location_data.json", place)
    where = PLACES["desert"] if take.parents[1].name == "Desert" else PLACES.get(place, place)
    frames = min(count, len(poses))
    listed = [poses.get(str(frame)) for frame in range(frames)]
    objects = len(listed[0]) if isinstance(listed[0], list) else 0
    if not objects or any(not isinstance(row, list) or len(row) != objects for row in listed):
        raise ValueError(f"{take} has no pose of every object at every frame, expected {frames}")
    names = []
    entities = []
    pictures: dict[str, Path] = {}
    for number in range(objects):
        index = int(finite(listed[0][number].get("index"), f"{take}: index"))  # type: ignore[index]
        if index not in world.prompts:
            raise ValueError(f"{take} shows the character {index}, which CharacterInfo has not")
        names.append(world.prompts[index])
        places = np.stack(
            [
                _pose(row[number].get("matrix"), f"{take}, frame {frame}")[3, :3]  # type: ignore[index]
                for frame, row in enumerate(listed)
            ]
        )
        shown = world.pictures.get(index, ())
        references = {f"e{number}.{n}": file for n, file in enumerate(shown)}
        pictures |= references
        entities.append(
            (
                names[-1],
                tuple(references),
                project(
                    places - origin, world.cameras[camera], FOCAL[width, height], (width, height)
                ),
            )
        )
    caption = " and ".join(names) + (" is" if objects == 1 else " are") + f" moving in the {where}"
    starts = np.cumsum([0] + [len(name) + len(" and ") for name in names]).tolist()
    record = ClipRecord(
        caption=caption,
        width=width,
        height=height,
        frames=frames,
        fps=_FPS,
        entities=tuple(
            ClipEntity(
                id=f"e{number}",
                word=_noun(name),
                span=_span(name, starts[number]),
                references=references,
                tracks=(track,),
            )
            for number, (name, references, track) in enumerate(entities)
        ),
        source=ClipSource(f"{take.stem}/{video.name}", 0.0, frames / _FPS),
    )
    return Converted(f"{take.parents[2].name}-{video.stem}", record, video, pictures)


def project(points: Array, camera: Array, focal: float, size: tuple[int, int]) -> ClipTrack:
    """Points before a camera, as fractions of its picture.

    Args:
        points: [T, 3] in the camera's world, centimetres.
        camera: [4, 4] pose, rows are vectors; its axes are forward, right, up.
        focal: in pixels; `size` (width, height) of the picture, whose centre is the axis.

    Returns:
        A track that is visible where the point is before the camera and in its picture.
    """
    width, height = size
    inside = np.concatenate([points, np.ones((len(points), 1))], 1) @ np.linalg.inv(camera)
    forward, right, up = inside[:, 0], inside[:, 1], inside[:, 2]
    depth = np.maximum(forward, _NEAR)
    x = 0.5 + focal * right / depth / width
    y = 0.5 - focal * up / depth / height
    seen = (forward > _NEAR) & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    return ClipTrack(np.stack([x, y], 1).clip(-1000, 1000).astype(np.float32), seen)


def _noun(prompt: str) -> str:
    """`polar bear` of `a polar bear with thick fur`."""
    words = re.split(r"\b(?:with|has|that|which|featuring|standing)\b|,", prompt)[0]
    return re.sub(r"^(?:an?|the)\s+", "", words.strip()).strip() or prompt


def _span(prompt: str, start: int) -> tuple[int, int]:
    noun = _noun(prompt)
    place = start + prompt.index(noun)
    return place, place + len(noun)


def _object(path: Path) -> Mapping[str, object]:
    if not path.is_file() or path.stat().st_size > MAX_JSON:
        raise ValueError(f"{path} does not exist or is too large, expected a JSON file of the set")
    value = load_json(path.read_bytes(), str(path), MAX_JSON)
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} is {show(value)}, expected a JSON object")
    return value


def _target(path: Path, place: str) -> Array:
    """Where the cameras of a place stand around."""
    if not path.is_file() or path.stat().st_size > MAX_JSON:
        raise ValueError(f"{path} does not exist, expected the places of the scene")
    listed = load_json(path.read_bytes(), str(path), MAX_JSON)
    for item in listed if isinstance(listed, list) else []:
        try:
            if item["name"] == place:
                position = item["coordinates"]["CameraTarget"]["position"]
                return np.array([finite(value, f"{path}: position") for value in position[:3]])
        except (KeyError, TypeError):
            break
    raise ValueError(f"{path} has no camera target of {show(place)}, expected its position")


def _pose(text: object, where: str) -> Array:
    """A matrix [4, 4] of `[a b c d] [e f g h] …`; a first column may lack its zero."""
    numbers = _NUMBERS.findall(text) if isinstance(text, str) and len(text) < 2000 else []
    if len(numbers) != 16:
        raise ValueError(f"{where} has the pose {show(text)}, expected four rows of four numbers")
    pose = np.array([float(number) for number in numbers]).reshape(4, 4)
    if not np.isfinite(pose).all() or abs(np.linalg.det(pose)) < 1e-9:
        raise ValueError(f"{where} has the pose {show(text)}, expected one that can be inverted")
    return pose
