"""The document: strict, named refusals, lossless round trips, migration."""

import copy
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tora2.trajectory import document as module
from tora2.trajectory import sample
from tora2.trajectory.document import (
    EASINGS,
    MAX_TEXT,
    Camera,
    CameraKey,
    Entity,
    Point,
    Track,
    TrajectoryDocument,
    dumps,
    parse,
    to_dict,
)

FULL: dict[str, Any] = {
    "version": 1,
    "width": 720,
    "height": 480,
    "frames": 49,
    "fps": 8,
    "entities": [{"id": "cat", "name": "cat", "color": "#e4572e"}],
    "tracks": [
        {
            "id": "t1",
            "entity": "cat",
            "curve": "spline",
            "points": [{"x": 0.21, "y": 0.8, "frame": 0}, {"x": 0.7, "y": 0.42}, {"x": 1, "y": 0}],
            "start": 0,
            "end": 48,
            "easing": "linear",
        }
    ],
}
REMOVED = object()


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    result = copy.deepcopy(FULL)
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return result


def test_reads_the_whole_document() -> None:
    points = (Point(0.21, 0.8, 0), Point(0.7, 0.42), Point(1.0, 0.0))
    track = Track("t1", points, 0, 48, "cat", "spline", "linear")
    expected = TrajectoryDocument(720, 480, 49, (track,), (Entity("cat", "cat", "#e4572e"),), 8.0)
    assert parse(FULL) == expected
    assert parse(json.dumps(FULL)) == expected
    assert parse(b"\xef\xbb\xbf" + json.dumps(FULL).encode()) == expected
    assert to_dict(expected) == FULL


def test_defaults() -> None:
    value = {"version": 1, "width": 64, "height": 64, "frames": 17}
    document = parse(
        value | {"entities": [{"id": "a"}], "tracks": [{"id": "t", "points": [{"x": 0, "y": 0}]}]}
    )
    assert document.fps == 8
    assert document.entities[0].name == "a"
    assert re.fullmatch("#[0-9a-f]{6}", document.entities[0].color)
    assert document.tracks[0] == Track("t", (Point(0, 0),), 0, 16, None, "spline", "linear")


T, P = ("tracks", 0), ("tracks", 0, "points")
REFUSED: list[tuple[tuple[str | int, ...], object, str]] = [
    (("version",), REMOVED, "no key 'version'"),
    (("version",), 3, "version is 3.*newer Tora2"),
    (("version",), -1, "version is -1"),
    (("version",), True, "version is True"),
    (("version",), "1", "version is '1'"),
    (("width",), REMOVED, "no key 'width'"),
    (("width",), 15, "width is 15, expected an integer from 16 to 8192"),
    (("width",), 720.0, "width is 720.0"),
    (("height",), 8193, "height is 8193"),
    (("height",), True, "height is True"),
    (("height",), 10**5000, "height is an integer of 16610 bits"),
    (("frames",), 48, r"frames is 48, expected 4k \+ 1"),
    (("frames",), 0, "frames is 0"),
    (("frames",), 1029, "frames is 1029"),
    (("fps",), 0, "fps is 0"),
    (("fps",), float("nan"), "fps is nan"),
    (("entities",), None, "entities is None, expected a list"),
    (
        ("entities",),
        [{"id": f"e{i}"} for i in range(65)],
        "entities has 65 items, expected 0 to 64",
    ),
    (("entities",), [{"id": "a"}, {"id": "cat"}, {"id": "a"}], r"entities\[2\]\.id is 'a'"),
    (("entities", 0, "id"), "a b", r"entities\[0\]\.id is 'a b'"),
    (("entities", 0, "id"), "cat\n", r"entities\[0\]\.id is 'cat\\n'"),
    (
        ("entities", 0, "name"),
        "n" * 81,
        r"entities\[0\]\.name is 'n+\.\.\.n+', expected a text of 1",
    ),
    (("entities", 0, "name"), "a\x00b", r"entities\[0\]\.name .* without control characters"),
    (("entities", 0, "name"), "\ud800", r"entities\[0\]\.name is '\\ud800'"),
    (("entities", 0, "color"), "red", r"entities\[0\]\.color is 'red', expected a colour"),
    (("tracks",), {}, "tracks is {}, expected a list"),
    (("tracks",), FULL["tracks"] * 2, r"tracks\[1\]\.id is 't1', expected an id that occurs once"),
    (("tracks",), FULL["tracks"] * 513, "tracks has 513 items, expected 0 to 512"),
    (("tracks",), REMOVED, "no key 'tracks'"),
    (("extra",), 1, "unknown key 'extra'"),
    ((*T, "extra"), 1, r"tracks\[0\] has the unknown key 'extra', expected id, points"),
    ((*T, "id"), REMOVED, r"tracks\[0\] has no key 'id'"),
    ((*T, "id"), "x" * 65, r"tracks\[0\]\.id is"),
    ((*T, "entity"), "dog", r"tracks\[0\]\.entity is 'dog', expected null or the id of"),
    ((*T, "entity"), ["cat"], r"tracks\[0\]\.entity is \['cat'\]"),
    ((*T, "curve"), "bezier", r"tracks\[0\]\.curve is 'bezier', expected one of spline, linear"),
    ((*T, "easing"), None, r"tracks\[0\]\.easing is None"),
    ((*T, "start"), 49, r"tracks\[0\]\.start is 49, expected an integer from 0 to 48"),
    ((*T, "start"), False, r"tracks\[0\]\.start is False"),
    ((*T, "end"), -1, r"tracks\[0\]\.end is -1"),
    ((*T, "start"), 1, r"points\[0\]\.frame is 0, expected 1, the start of the track"),
    ((*P,), [], r"tracks\[0\]\.points has 0 items, expected 1 to 1024"),
    ((*P,), [{"x": 0, "y": 0}] * 1025, r"tracks\[0\]\.points has 1025 items"),
    ((*P, 1), [0.1, 0.2], r"points\[1\] is \[0.1, 0.2\], expected an object"),
    ((*P, 1, "x"), REMOVED, r"points\[1\] has no key 'x'"),
    (
        (*P, 1, "x"),
        float("inf"),
        r"tracks\[0\]\.points\[1\]\.x is inf, expected a number from -16 to 16",
    ),
    ((*P, 1, "x"), float("nan"), r"points\[1\]\.x is nan"),
    ((*P, 1, "x"), True, r"points\[1\]\.x is True"),
    ((*P, 1, "x"), "0.5", r"points\[1\]\.x is '0.5'"),
    ((*P, 1, "y"), 16.5, r"points\[1\]\.y is 16.5"),
    ((*P, 1, "y"), 10**400, r"points\[1\]\.y is an integer of"),
    ((*P, 1, "frame"), 0, r"points\[1\]\.frame is 0, expected a frame after 0 and before 48"),
    ((*P, 1, "frame"), 48, r"points\[1\]\.frame is 48"),
    ((*P, 1, "frame"), 49, r"points\[1\]\.frame is 49"),
    ((*P, 1, "frame"), 3.0, r"points\[1\]\.frame is 3.0, expected an integer"),
    ((*P, 2, "frame"), 47, r"points\[2\]\.frame is 47, expected 48, the end of the track"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), REFUSED, ids=[str(index) for index in range(len(REFUSED))]
)
def test_refuses_with_a_sentence(path: tuple[str | int, ...], value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(changed(path, value))
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_keys_must_increase() -> None:
    points = [
        {"x": 0, "y": 0},
        {"x": 0, "y": 0, "frame": 9},
        {"x": 0, "y": 0, "frame": 9},
        {"x": 1, "y": 0},
    ]
    with pytest.raises(ValueError, match=r"points\[2\]\.frame is 9, expected a frame after 9"):
        parse(changed(P, points))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 200_000, "nested too deeply"),
        ('{"version":' + "[" * 200_000, "nested too deeply"),
        ("[]", r"the document is \[\], expected an object"),
        ('{"version": 1, "version": 1}', "the key 'version' occurs twice"),
        (json.dumps(FULL).replace("0.42", "NaN"), r"points\[1\]\.y is nan"),
        (json.dumps(FULL).replace("0.42", "1e999"), r"points\[1\]\.y is inf"),
        (json.dumps(FULL).replace("720", "9" * 5000), "width is inf"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (" " * (MAX_TEXT + 1), "is too long"),
    ],
    ids=str.split("empty deep deep-value list twice nan inf digits utf-16 long"),
)
def test_refuses_text(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_deep_values_are_shown_shortly() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="width is"):
        parse(changed(("width",), deep))


def test_dumps_refuses_what_parse_would() -> None:
    points = tuple(Point(0.123456789012345, 0.123456789012345) for _ in range(1024))
    tracks = tuple(Track(f"t{i}", points, 0, 16) for i in range(100))
    with pytest.raises(ValueError, match="expected at most 4194304"):
        dumps(TrajectoryDocument(64, 64, 17, tracks))


def test_version_0_becomes_free_splines_in_fractions() -> None:
    value = {"version": 0, "width": 200, "height": 100, "frames": 17}
    document = parse(
        value | {"tracks": [[{"x": 50, "y": 50}, {"x": 200, "y": 0}], [{"x": 1, "y": 1}]]}
    )
    assert document.tracks[0] == Track("t1", (Point(0.25, 0.5), Point(1, 0)), 0, 16)
    assert document.tracks[1].points == (Point(0.005, 0.01),)
    with pytest.raises(ValueError, match=r"tracks\[0\]\[0\]\.x is nan"):
        parse(value | {"tracks": [[{"x": float("nan"), "y": 0}]]})
    with pytest.raises(ValueError, match="unknown key 'fps'"):
        parse(value | {"tracks": [], "fps": 8})
    assert set(module._MIGRATIONS) == set(range(module.VERSION))


@st.composite
def documents(draw: st.DrawFn) -> TrajectoryDocument:
    frames = 4 * draw(st.integers(0, 20)) + 1
    names = draw(
        st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,9}", fullmatch=True), unique=True, max_size=4)
    )
    entities = tuple(Entity(name, name, "#00ff7f") for name in names)
    fraction = st.floats(-16, 16)
    tracks = []
    for index in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, frames - 1))
        end = draw(st.integers(start, frames - 1))
        count = draw(st.integers(1, 6))
        inner = range(start + 1, end)
        keys: list[int | None] = [None] * count
        if count > 2 and len(inner):
            keys[draw(st.integers(1, count - 2))] = draw(st.sampled_from(inner))
        points = tuple(Point(draw(fraction), draw(fraction), key) for key in keys)
        owner = draw(st.sampled_from([None, *names]))
        curve, easing = draw(st.sampled_from(module.CURVES)), draw(st.sampled_from(EASINGS))
        tracks.append(Track(f"t{index}", points, start, end, owner, curve, easing))
    return TrajectoryDocument(
        draw(st.integers(16, 8192)),
        draw(st.integers(16, 8192)),
        frames,
        tuple(tracks),
        entities,
        draw(st.floats(0.1, 1000)),
    )


@st.composite
def newer_documents(draw: st.DrawFn) -> TrajectoryDocument:
    """Documents that may use what version 2 adds, or nothing of it."""
    document = draw(documents())
    pair = st.tuples(st.floats(-16, 16), st.floats(-16, 16))
    unit = st.floats(0, 1)
    easing = st.sampled_from(EASINGS) | st.tuples(unit, unit, unit, unit)
    tracks = []
    for track in document.tracks:
        points = tuple(
            replace(
                point,
                scale=draw(st.none() | st.floats(0.01, 100)),
                arrive=draw(st.none() | pair),
                leave=draw(st.none() | pair),
            )
            for point in track.points
        )
        edges = sorted(draw(st.sets(st.integers(0, document.frames - 1), max_size=6)))
        new = {
            "points": points,
            "easing": draw(easing),
            "before": draw(st.sampled_from(module.OUTSIDE)),
            "after": draw(st.sampled_from(module.OUTSIDE)),
            "hidden": tuple(zip(edges[::2], edges[1::2], strict=False)),
            "tension": draw(st.floats(-1, 1)),
            "name": draw(st.none() | st.just("a hop")),
            "group": draw(st.none() | st.just("g1")),
        }
        chosen = draw(st.sets(st.sampled_from(sorted(new))))
        tracks.append(replace(track, **{key: new[key] for key in chosen}))
    times = sorted(draw(st.sets(st.integers(0, document.frames - 1), min_size=1, max_size=3)))
    keys = tuple(
        CameraKey(time, *draw(pair), draw(st.floats(0.05, 20)), draw(st.floats(-3600, 3600)))
        for time in times
    )
    camera = draw(st.none() | st.builds(Camera, st.just(keys), easing))
    return replace(document, tracks=tuple(tracks), camera=camera)


@settings(max_examples=50, deadline=None)
@given(documents() | newer_documents())
def test_round_trip(document: TrajectoryDocument) -> None:
    assert parse(to_dict(document)) == document
    assert parse(dumps(document)) == document
    assert parse(dumps(document).encode()) == document


@settings(max_examples=40, deadline=None)
@given(documents())
def test_version_1_is_version_2_that_says_nothing_new(document: TrajectoryDocument) -> None:
    value = to_dict(document)
    assert value["version"] == 1
    migrated = parse(value | {"version": 2})
    assert migrated == parse(value) == document
    old, new = sample(document), sample(migrated)
    assert torch.equal(old.points, new.points) and torch.equal(old.visible, new.visible)
    assert torch.equal(new.scale, torch.ones_like(new.scale))
    for row, track in enumerate(document.tracks):
        seen = [track.start <= frame <= track.end for frame in range(document.frames)]
        assert new.visible[row].tolist() == seen
    assert to_dict(migrated) == value


@settings(max_examples=30, deadline=None)
@given(newer_documents())
def test_back_to_version_1(document: TrajectoryDocument) -> None:
    """What version 1 can say is written as version 1; the rest is left out on request only."""
    value = to_dict(document)
    plain = replace(document, camera=None, tracks=tuple(map(as_version_1, document.tracks)))
    assert (value["version"] == 1) == (document == plain)
    old = to_dict(plain)
    assert old["version"] == 1
    assert [track.points[0].x for track in parse(old).tracks] == [
        track.points[0].x for track in document.tracks
    ]
    if value["version"] == 2:
        with pytest.raises(ValueError, match=r"version 2|easing|tracks|camera"):
            parse(value | {"version": 1})


def as_version_1(track: Track) -> Track:
    points = tuple(Point(point.x, point.y, point.frame) for point in track.points)
    easing = track.easing if isinstance(track.easing, str) else "linear"
    return Track(track.id, points, track.start, track.end, track.entity, track.curve, easing)


NEWER: list[tuple[tuple[str | int, ...], object, str]] = [
    ((*P, 1, "scale"), 0, r"points\[1\]\.scale is 0, expected a number from 0\.01 to 100"),
    ((*P, 1, "scale"), float("nan"), r"points\[1\]\.scale is nan"),
    ((*P, 1, "scale"), -1, r"points\[1\]\.scale is -1"),
    ((*P, 1, "leave"), [0.1], r"points\[1\]\.leave has 1 items"),
    ((*P, 1, "arrive"), [0.1, "0"], r"points\[1\]\.arrive\[1\] is '0'"),
    ((*T, "before"), "here", r"tracks\[0\]\.before is 'here', expected one of absent, wait"),
    ((*T, "after"), None, r"tracks\[0\]\.after is None"),
    ((*T, "hidden"), [[3, 2]], r"hidden\[0\]\[1\] is 2, expected an integer from 3 to 48"),
    ((*T, "hidden"), [[1, 4], [4, 5]], r"hidden\[1\]\[0\] is 4, expected an integer from 5"),
    ((*T, "hidden"), [[1]], r"hidden\[0\] has 1 items"),
    ((*T, "tension"), 2, r"tension is 2, expected a number from -1 to 1"),
    ((*T, "name"), "", r"name is '', expected a text of 1 to 80"),
    ((*T, "group"), "a b", r"group is 'a b', expected 1 to 64 letters"),
    ((*T, "easing"), [0, 0, 1], r"easing has 3 items"),
    ((*T, "easing"), [0, 0, 1, 1.5], r"easing\[3\] is 1.5, expected a number from 0 to 1"),
    (("camera",), {"keys": []}, r"camera\.keys has 0 items"),
    (("camera",), {"keys": [{"frame": 49}]}, r"camera\.keys\[0\]\.frame is 49"),
    (("camera",), {"keys": [{"frame": 1}, {"frame": 1}]}, r"keys\[1\]\.frame is 1, expected"),
    (("camera",), {"keys": [{"frame": 1, "zoom": 0}]}, r"zoom is 0, expected a number from 0\.05"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), NEWER, ids=[str(index) for index in range(len(NEWER))]
)
def test_refuses_what_version_2_does_not_mean(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        parse(changed(path, value) | {"version": 2})
    with pytest.raises(ValueError, match=r"unknown key|easing is"):
        parse(changed(path, value))


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.data(),
)
def test_junk_anywhere_is_a_value_error_or_a_document(junk: object, data: st.DataObject) -> None:
    paths = [path for path, _, _ in REFUSED]
    value = changed(data.draw(st.sampled_from(paths)), junk)
    try:
        document = parse(value)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert parse(to_dict(document)) == document
