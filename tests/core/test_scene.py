"""Scenes: the whole file read, defaults, and every refusal in a sentence that names the value."""

import copy
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tora2.scene import (
    MAX_FILE,
    MAX_SEED,
    Flow,
    Sampling,
    Scene,
    SceneEntity,
    Window,
    load_scene,
    occurs,
    parse_scene,
)
from tora2.trajectory import parse

TRAJECTORIES: dict[str, Any] = {
    "version": 1,
    "width": 96,
    "height": 96,
    "frames": 17,
    "entities": [{"id": "b"}, {"id": "a"}],
    "tracks": [
        {"id": "t1", "entity": "a", "points": [{"x": 0.2, "y": 0.2}, {"x": 0.8, "y": 0.2}]},
        {"id": "t2", "points": [{"x": 0.5, "y": 0.5}]},
        {"id": "t3", "entity": "b", "points": [{"x": 0.8, "y": 0.8}]},
    ],
}
FULL: dict[str, Any] = {
    "version": 1,
    "prompt": "a red Circle and a big  star\non grass",
    "negative_prompt": "blur",
    "entities": [
        {"id": "a", "word": "circle", "kind": "object", "images": ["a.png"], "strength": 0.5},
        {"id": "b", "word": "big star"},
    ],
    "trajectories": TRAJECTORIES,
    "sampling": {
        "steps": 20,
        "guidance": 3,
        "seed": MAX_SEED,
        "scheduler": "ddim",
        "dynamic_guidance": True,
        "motion": {"strength": 0.8, "start": 0.1, "end": 0.9},
        "appearance": {"end": 0.5},
        "unconditional": "zeros",
        "flow": {"mode": "tora", "latents": "drawn"},
    },
}
REMOVED = object()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scene's folder with a picture, beside a file that is none of its business."""
    result = tmp_path / "scene"
    (result / "sub").mkdir(parents=True)
    (result / "a.png").write_bytes(b"picture")
    (tmp_path / "outside.png").write_bytes(b"secret")
    return result


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


def test_reads_the_whole_scene(folder: Path) -> None:
    expected = Scene(
        prompt=FULL["prompt"],
        negative_prompt="blur",
        entities=(
            SceneEntity("a", "circle", "object", ((folder / "a.png").resolve(),), 0.5),
            SceneEntity("b", "big star"),
        ),
        trajectories=parse(TRAJECTORIES),
        sampling=Sampling(
            20,
            3.0,
            MAX_SEED,
            "ddim",
            True,
            Window(0.8, 0.1, 0.9),
            Window(1.0, 0.0, 0.5),
            "zeros",
            Flow("tora", "drawn"),
        ),
    )
    assert parse_scene(FULL, folder) == expected
    (folder / "scene.json").write_text(json.dumps(FULL))
    assert load_scene(folder / "scene.json") == expected
    assert load_scene(os.path.relpath(folder / "scene.json")) == expected


def test_defaults(tmp_path: Path) -> None:
    empty = {"version": 1, "width": 64, "height": 64, "frames": 1, "tracks": []}
    scene = parse_scene({"version": 1, "prompt": "grass", "trajectories": empty}, tmp_path)
    assert (scene.negative_prompt, scene.entities) == ("", ())
    whole = Window(1, 0, 1)
    assert scene.sampling == Sampling(
        50, 6.0, 0, "dpm", False, whole, whole, "text", Flow("subpixel", "mean")
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.prompt = "sand"  # type: ignore[misc]


def test_a_window_acts_between_its_ends() -> None:
    window = Window(0.7, 0.25, 0.75)
    assert [window.at(step / 8) for step in range(8)] == [0, 0, 0.7, 0.7, 0.7, 0.7, 0.7, 0]
    assert Window().at(0) == 1


@pytest.mark.parametrize(
    ("word", "prompt", "expected"),
    [
        ("star", "a star on grass", True),
        ("Star", "a STAR, on grass", True),
        ("red  star", "a red\nstar", True),
        ("star", "starfish", False),
        ("star", "a superstar", False),
        ("star's", "the star's glow", True),
        ("a.b", "a axb", False),
        ("red star", "a star, red", False),
        ("étoile", "une Étoile", True),
        ("toile", "une étoile", False),
        ("C++", "C++ on a mug", True),
        (" ", "a star", False),
    ],
)
def test_a_word_occurs_whole(word: str, prompt: str, expected: bool) -> None:
    assert occurs(word, prompt) is expected


E, S = ("entities", 0), ("sampling",)
POINT = ("trajectories", "tracks", 0, "points", 0)
TOO_MANY = [{"id": f"t{i}", "points": [{"x": 0, "y": 0}]} for i in range(10_000)]
ENTITIES = [{"id": f"e{i}", "word": "star"} for i in range(17)]
REFUSED: list[tuple[tuple[str | int, ...], object, str]] = [
    (("version",), 2, "version is 2, expected 1"),
    (("version",), True, "version is True, expected 1"),
    (("version",), REMOVED, "the document has no key 'version'"),
    (("speed",), 1, "the document has the unknown key 'speed', expected version, prompt"),
    (("prompt",), REMOVED, "no key 'prompt'"),
    (("prompt",), "", "prompt is '', expected a text of 1 to 10000 characters"),
    (("prompt",), "a" * 10_001, "expected a text of 1 to 10000 characters"),
    (("prompt",), "circle big star \0", "prompt is .*expected a text without control characters"),
    (("prompt",), "circle big star \ud800", "expected a text without control characters"),
    (("negative_prompt",), 3, "negative_prompt is 3"),
    (("entities",), {}, "entities is {}, expected a list"),
    (("entities",), ENTITIES, "entities has 17 items, expected 0 to 16"),
    ((*E, "colour"), "red", r"entities\[0\] has the unknown key 'colour'"),
    ((*E, "id"), "../a", r"entities\[0\].id is '../a', expected 1 to 64 letters"),
    (("entities", 1, "id"), "a", r"entities\[1\].id is 'a', expected an id that occurs once"),
    ((*E, "word"), "dragon", r"word is 'dragon', expected a word of the prompt 'a red Circle"),
    ((*E, "word"), "", "word is '', expected"),
    ((*E, "word"), None, "word is None, expected"),
    ((*E, "kind"), "animal", "kind is 'animal', expected one of auto, human, object"),
    ((*E, "strength"), 11, r"entities\[0\].strength is 11, expected a number from 0 to 10"),
    ((*E, "strength"), -0.1, "strength is -0.1"),
    ((*E, "strength"), float("nan"), "strength is nan"),
    ((*E, "strength"), True, "strength is True"),
    ((*E, "images"), "a.png", "images is 'a.png', expected a list"),
    ((*E, "images"), ["a.png"] * 17, "images has 17 items, expected 0 to 16"),
    ((*E, "images"), [7], r"images\[0\] is 7"),
    ((*E, "images"), ["absent.png"], "'absent.png', expected an image file within the scene's"),
    ((*E, "images"), ["sub"], "'sub', expected an image file"),
    ((*E, "images"), ["../outside.png"], "expected a path within the scene's folder"),
    ((*E, "images"), ["sub/../../outside.png"], "expected a path within the scene's folder"),
    ((*E, "images"), ["/etc/passwd"], "'/etc/passwd', expected a path within the scene's folder"),
    ((*E, "images"), ["a" * 900], "expected an image file"),
    ((*E, "images"), ["a.png\0"], "expected a text without control characters"),
    ((*S, "cfg"), 1, "sampling has the unknown key 'cfg'"),
    ((*S, "steps"), 0, "sampling.steps is 0, expected an integer from 1 to 1000"),
    ((*S, "steps"), 1001, "sampling.steps is 1001"),
    ((*S, "steps"), 5.5, "sampling.steps is 5.5"),
    ((*S, "guidance"), 51, "sampling.guidance is 51, expected a number from 0 to 50"),
    ((*S, "guidance"), float("inf"), "sampling.guidance is inf"),
    ((*S, "seed"), -1, "sampling.seed is -1"),
    ((*S, "seed"), 2**63, "sampling.seed is 9223372036854775808"),
    ((*S, "scheduler"), "euler", "sampling.scheduler is 'euler', expected one of dpm, ddim"),
    ((*S, "dynamic_guidance"), 1, "dynamic_guidance is 1, expected true or false"),
    ((*S, "motion"), None, "sampling.motion is None, expected an object"),
    ((*S, "motion", "start"), 0.95, "motion.start is 0.95, expected a number up to .*end, 0.9"),
    ((*S, "appearance", "end"), 1.1, "sampling.appearance.end is 1.1"),
    ((*S, "appearance", "strength"), 10.5, "sampling.appearance.strength is 10.5"),
    ((*S, "unconditional"), "", "unconditional is '', expected one of text, zeros"),
    ((*S, "flow"), "tora", "sampling.flow is 'tora', expected an object"),
    ((*S, "flow", "mode"), 1, "flow.mode is 1, expected one of subpixel, tora"),
    ((*S, "flow", "latents"), "mode", "latents is 'mode', expected one of mean, drawn"),
    ((*S, "flow", "sigma"), 3, "sampling.flow has the unknown key 'sigma'"),
    (("trajectories",), REMOVED, "no key 'trajectories'"),
    (("trajectories",), "[]", r"trajectories is '\[\]', expected a trajectory document"),
    (("trajectories", "version"), 9, "in trajectories, version is 9"),
    (("trajectories", "frames"), 16, r"in trajectories, frames is 16, expected 4k \+ 1"),
    (("trajectories", "tracks"), TOO_MANY, "tracks has 10000 items, expected 0 to 512"),
    ((*POINT, "x"), float("nan"), r"in trajectories, tracks\[0\].points\[0\].x is nan"),
    (("trajectories", "tracks", 0, "entity"), "c", r"in trajectories, tracks\[0\].entity is 'c'"),
    (("entities",), FULL["entities"][:1], r"tracks\[2\].entity is 'b', .*of the scene \(a\)"),
    (("entities",), [], r"tracks\[0\].entity is 'a', .*\(it has none\)"),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSED)
def test_refusals(folder: Path, path: tuple[str | int, ...], value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        parse_scene(changed(path, value), folder)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400 + len(str(folder))


def test_an_entity_of_the_editor_without_tracks_needs_no_scene_entity(folder: Path) -> None:
    value = changed(("trajectories", "entities"), [{"id": "a"}, {"id": "b"}, {"id": "spare"}])
    assert len(parse_scene(value, folder).entities) == 2


def test_links_do_not_lead_out_of_the_folder(folder: Path) -> None:
    (folder / "inner.png").symlink_to("a.png")
    (folder / "outer.png").symlink_to(folder.parent / "outside.png")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    (folder / "circle.png").symlink_to("circle.png")
    inner = parse_scene(changed((*E, "images"), ["inner.png"]), folder)
    assert inner.entities[0].images == ((folder / "a.png").resolve(),)
    for name in ("outer.png", "up/outside.png", "circle.png"):
        with pytest.raises(ValueError, match="within the scene's folder"):
            parse_scene(changed((*E, "images"), [name]), folder)


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder, target_is_directory=True)
    assert parse_scene(FULL, link) == parse_scene(FULL, folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_no_scene(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    with pytest.raises(ValueError, match="is a pipe, expected a regular file"):
        load_scene(tmp_path / "pipe")


def test_files_that_are_no_scene(tmp_path: Path) -> None:
    file = tmp_path / "scene.json"
    with pytest.raises(FileNotFoundError):
        load_scene(file)
    with pytest.raises(ValueError, match="is a folder, expected a scene file"):
        load_scene(tmp_path)
    for content, message in [
        (b"{", r"scene\.json: the scene is not JSON"),
        (b"\xff\xfe", "the scene is not UTF-8"),
        (b"[]", "the document is .*expected an object"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MAX_FILE + 1), "is too long, expected at most"),
        (b'{"version": 1, "version": 1}', "the key 'version' occurs twice"),
    ]:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_scene(file)
