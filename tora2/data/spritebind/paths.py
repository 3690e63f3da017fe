"""Where sprites go: paths drawn at random, or kept slow and apart as clips ask, or crossing."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ...trajectory import Tracks, parse, sample
from .config import SpriteBindConfig

# Centres of sprites that keep apart are never nearer, in radii; that is less than how far apart any
# two start, so one for which so many paths were in vain may stay where it is.
_APART, _TRIES = 1.45, 60

Path = dict[str, object]
"""Keys of a track of the trajectory document."""


def draw_tracks(
    rng: np.random.Generator,
    config: SpriteBindConfig,
    names: Sequence[str],
    radii: Sequence[float],
    still: Sequence[bool],
    crossing: bool,
) -> Tracks:
    """A track for each sprite, in an order of their own; `entity` says whose it is.

    Args:
        rng: what is drawn is drawn from it.
        config: of the clips.
        names, radii: of the sprites; radii in pixels.
        still: which sprites stay where they start; others keep apart from these, too.
        crossing: let all paths cross near the middle, whatever `config` says of paths.
    """
    count = len(names)
    order = [int(index) for index in rng.permutation(count)]
    starts = _apart(rng, count)
    meets = config.meeting == 1 or rng.random() < config.meeting
    paths: dict[int, Path] = {}
    for slot, i in enumerate(order):
        if crossing:
            paths[i] = _crossing(rng, slot)
        elif still[i]:
            paths[i] = _anchor(starts[i])
        elif meets and not config.fastest:
            paths[i] = _path(rng, starts[i], config.frames)
        else:
            others = [paths.get(j, _anchor(starts[j])) for j in range(count) if j != i]
            paths[i] = _free_path(rng, starts[i], config, radii[i], [] if meets else others)
    return _tracks(config, names, paths)


def _apart(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    places: list[tuple[float, float]] = []
    while len(places) < count:
        x, y = rng.uniform(0.12, 0.88, 2)
        if all((x - a) ** 2 + (y - b) ** 2 > 0.07 for a, b in places):
            places.append((float(x), float(y)))
    return places


def _path(rng: np.random.Generator, start: tuple[float, float], frames: int) -> Path:
    """A random path: anchor, line, curve, bounce, late start, off the frame."""
    kind = rng.choice(["anchor", "line", "curve", "wander"], p=[0.08, 0.37, 0.4, 0.15])
    inner = {"anchor": 0, "line": 1, "curve": 2, "wander": 4}[str(kind)]
    low, high = (-0.12, 1.12) if rng.random() < 0.1 else (0.1, 0.9)
    points = [start]
    for _ in range(inner):
        while True:
            x, y = rng.uniform(low, high, 2)
            if (x - points[-1][0]) ** 2 + (y - points[-1][1]) ** 2 > 0.04:
                break
        points.append((float(x), float(y)))
    last = frames - 1
    late = inner and rng.random() < 0.12
    return {
        "curve": "linear" if rng.random() < 0.3 else "spline",
        "points": [{"x": x, "y": y} for x, y in points],
        "start": int(rng.integers(0, last // 2)) if late else 0,
        "end": int(rng.integers(last // 2 + 2, last + 1)) if late else last,
        "easing": str(rng.choice(["linear", "in", "out", "in-out"], p=[0.55, 0.15, 0.15, 0.15])),
    }


def _free_path(
    rng: np.random.Generator,
    start: tuple[float, float],
    config: SpriteBindConfig,
    radius: float,
    others: list[Path],
) -> Path:
    """A path that is not too fast and keeps apart from the others."""
    ways = [_way(config, path) for path in others]

    def fits(path: Path) -> bool:
        way = _way(config, path)
        fast = config.fastest and way.diff(dim=0).norm(dim=-1).max() > config.fastest * config.size
        near = any((way - other).norm(dim=-1).min() < _APART * radius for other in ways)
        return not fast and not near

    for _ in range(_TRIES):
        path = _path(rng, start, config.frames)
        if fits(path):
            return path
    return _anchor(start)


def _anchor(place: tuple[float, float]) -> Path:
    return {"points": [{"x": place[0], "y": place[1]}]}


def _way(config: SpriteBindConfig, path: Path) -> Tensor:
    """Where a path is in each frame: [T, 2] pixels."""
    return _tracks(config, ["e"], {0: path}).points[0]


def _tracks(config: SpriteBindConfig, names: Sequence[str], paths: dict[int, Path]) -> Tracks:
    """Tracks, in the order of `paths`, of the entities that have these names."""
    document = {
        "version": 1,
        "width": config.size,
        "height": config.size,
        "frames": config.frames,
        "fps": 8,
        "entities": [
            {"id": f"e{i}", "name": name, "color": "#000000"} for i, name in enumerate(names)
        ],
        "tracks": [{"id": f"t{i}", "entity": f"e{i}", **path} for i, path in paths.items()],
    }
    return sample(parse(document))


def _crossing(rng: np.random.Generator, slot: int) -> Path:
    angle = (slot + rng.uniform(-0.2, 0.2)) * 2 * np.pi / 3
    reach = rng.uniform(0.3, 0.38)
    dx, dy = reach * np.cos(angle), reach * np.sin(angle)
    side = rng.uniform(0.05, 0.12)
    middle = (0.5 - side * np.sin(angle), 0.5 + side * np.cos(angle))
    points = [(0.5 + dx, 0.5 + dy), middle, (0.5 - dx, 0.5 - dy)]
    return {"points": [{"x": float(x), "y": float(y)} for x, y in points]}
