"""The bundled model keeps its promises: colours of the pictures, on the paths, whichever way round.

The scenes are made here with shapes, colours and paths of their own. Few clips and steps are
enough for bounds that leave room; the figures over 256 clips are in the model card.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tora2.data.spritebind import Sprite, SpriteBind, SpriteBindConfig, paint, saturated
from tora2.evaluation.binding import evaluate_binding
from tora2.evaluation.metrics.colour import dominant_hue, locate
from tora2.evaluation.shapes import look
from tora2.pipeline import Tora2Pipeline
from tora2.scene import Scene, parse_scene

LEFT_TO_RIGHT = [{"x": 0.2, "y": 0.28}, {"x": 0.8, "y": 0.25}]
RIGHT_TO_LEFT = [{"x": 0.8, "y": 0.72}, {"x": 0.5, "y": 0.8}, {"x": 0.22, "y": 0.7}]


@pytest.fixture(scope="module")
def pipeline() -> Tora2Pipeline:
    return Tora2Pipeline.from_pretrained("tiny")


def draw(path: Path, shape: str, hue: float, mode: str = "RGB", texture: str = "plain") -> None:
    canvas = np.ones((1, 80, 60, 3), dtype=np.float32)
    cover = paint(canvas, Sprite(shape, saturated(hue), texture, 22.0), np.array([[28.0, 41.0]]))
    pixels = (canvas[0] * 255).astype(np.uint8)
    if mode == "RGBA":
        alpha = (cover[0] * 255).astype(np.uint8)
        pixels = np.dstack([np.where(alpha[..., None] > 0, pixels, 0), alpha])
    Image.fromarray(pixels).save(path)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    draw(tmp_path / "one.png", "heart", 0.93, "RGBA")
    draw(tmp_path / "two.jpg", "square", 0.55)
    tracks = [("over", "a", LEFT_TO_RIGHT), ("under", "b", RIGHT_TO_LEFT)]
    return parse_scene(
        {
            "version": 1,
            "prompt": "a heart and a square on sand",
            "entities": [
                {"id": "a", "word": "heart", "images": ["one.png"]},
                {"id": "b", "word": "square", "images": ["two.jpg"]},
            ],
            "trajectories": {
                "version": 1,
                "width": 96,
                "height": 96,
                "frames": 17,
                "fps": 8,
                "entities": [{"id": "a"}, {"id": "b"}],
                "tracks": [{"id": i, "entity": e, "points": p} for i, e, p in tracks],
            },
            "sampling": {"steps": 20, "guidance": 1.0, "seed": 3},
        },
        tmp_path,
    )


def colors(scene: Scene) -> list[float]:
    hues = []
    for entity in scene.entities:
        picture = Image.open(entity.images[0])
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        pixels = torch.from_numpy(np.array(white.convert("RGB"))).movedim(-1, 0)
        hues.append(dominant_hue(pixels))
    return hues


def error_percent(frames: torch.Tensor, hues: list[float], paths: torch.Tensor) -> float:
    """Mean of |dx| and |dy| of the colours' centroids, in percent of the width."""
    found = locate(frames, hues)
    assert torch.isfinite(found).all(-1).float().mean() > 0.9
    return float((found - paths).abs().nanmean()) / 96 * 100


def test_colours_of_the_pictures_follow_their_paths(pipeline: Tora2Pipeline, scene: Scene) -> None:
    out = pipeline(scene)
    assert out.frames.shape == (17, 96, 96, 3)
    assert float(out.frames.min()) >= 0 and float(out.frames.max()) <= 1
    assert error_percent(out.frames, colors(scene), out.tracks.points) < 6


def test_swapping_the_pictures_swaps_the_colours_not_the_paths(
    pipeline: Tora2Pipeline, scene: Scene
) -> None:
    a, b = scene.entities
    swapped = replace(scene, entities=(replace(a, images=b.images), replace(b, images=a.images)))
    out = pipeline(swapped)
    assert error_percent(out.frames, colors(swapped), out.tracks.points) < 6
    own = colors(scene)
    assert error_percent(out.frames, own, out.tracks.points.flip(0)) < 6


def shares(frames: torch.Tensor, hues: list[float], words: list[str]) -> list[float]:
    """Of every other frame, in which the thing of each colour has the shape of its word."""
    result = []
    for hue, word in zip(hues, words, strict=True):
        seen = [look(frame, hue) for frame in frames[::2]]
        result.append(sum(one is not None and one.shape == word for one in seen) / len(seen))
    return result


def test_swapping_the_words_swaps_the_shapes_not_the_colours(
    pipeline: Tora2Pipeline, scene: Scene
) -> None:
    a, b = scene.entities
    hues = colors(scene)
    assert min(shares(pipeline(scene).frames, hues, ["heart", "square"])) > 0.7
    words = (replace(a, word="square"), replace(b, word="heart"))
    swapped = replace(scene, prompt="a square and a heart on sand", entities=words)
    out = pipeline(swapped)
    assert min(shares(out.frames, hues, ["square", "heart"])) > 0.7
    assert error_percent(out.frames, hues, out.tracks.points) < 6


@pytest.mark.parametrize("words", [("star", "cross"), ("cross", "star")])
def test_a_star_is_a_star_and_a_cross_a_cross(
    pipeline: Tora2Pipeline, scene: Scene, words: tuple[str, str]
) -> None:
    """The two that are concave, on pictures that show something else."""
    pairs = zip(scene.entities, words, strict=True)
    entities = tuple(replace(entity, word=word) for entity, word in pairs)
    prompt = f"a {words[0]} and a {words[1]} on sand"
    out = pipeline(replace(scene, prompt=prompt, entities=entities))
    assert min(shares(out.frames, colors(scene), list(words))) > 0.4


def test_swapping_the_paths_swaps_the_places(pipeline: Tora2Pipeline, scene: Scene) -> None:
    document = scene.trajectories
    first, second = document.tracks
    tracks = (replace(first, entity=second.entity), replace(second, entity=first.entity))
    out = pipeline(replace(scene, trajectories=replace(document, tracks=tracks)))
    hues = colors(scene)
    assert error_percent(out.frames, hues, out.tracks.points.flip(0)) < 6
    assert min(shares(out.frames, hues, ["heart", "square"])) > 0.7


def test_swapping_the_pictures_swaps_the_textures(
    pipeline: Tora2Pipeline, scene: Scene, tmp_path: Path
) -> None:
    draw(tmp_path / "striped.png", "heart", 0.93, texture="stripes")
    draw(tmp_path / "plain.png", "square", 0.55)
    a, b = scene.entities
    pictures = [(tmp_path / "striped.png",), (tmp_path / "plain.png",)]
    for images, textures in (
        (pictures, ("stripes", "plain")),
        (pictures[::-1], ("plain", "stripes")),
    ):
        entities = (replace(a, images=images[0]), replace(b, images=images[1]))
        shown = replace(scene, entities=entities)
        out = pipeline(shown)
        for hue, texture in zip(colors(shown), textures, strict=True):
            seen = [look(frame, hue) for frame in out.frames[::2]]
            assert sum(one is not None and one.texture == texture for one in seen) > 0.7 * len(seen)


def test_an_entity_without_its_track_is_still_there(pipeline: Tora2Pipeline, scene: Scene) -> None:
    document = scene.trajectories
    fewer = replace(scene, trajectories=replace(document, tracks=document.tracks[:1]))
    out = pipeline(fewer)
    found = locate(out.frames, colors(scene))
    assert torch.isfinite(found).all(-1).float().mean(1).min() > 0.6


def test_on_held_out_clips_shapes_textures_and_places_are_told(pipeline: Tora2Pipeline) -> None:
    """A bound on the figures of the model card: by chance shapes would be 0.17, textures 0.33."""
    config = SpriteBindConfig(
        sprites="large", sigma=pipeline.info.sigma, meeting=0.25, fastest=0.06
    )
    report = evaluate_binding(pipeline, SpriteBind(config, 7, "heldout"), clips=12, steps=8)
    assert report.bind_accuracy > 0.95 and report.centroid_error < 0.025
    assert report.shape_accuracy > 0.75 and report.texture_accuracy > 0.65
    assert report.flicker < 0.1 and report.stays is None


def test_an_entity_without_a_path_stays_and_leaves_the_others_theirs(
    pipeline: Tora2Pipeline,
) -> None:
    config = SpriteBindConfig(
        sprites="large", sigma=pipeline.info.sigma, meeting=0.25, fastest=0.06
    )
    report = evaluate_binding(pipeline, SpriteBind(config, 7, "untold"), clips=12, steps=8)
    assert report.stays is not None and report.stays > 0.8
    assert report.drift is not None and report.drift < 6
    assert report.centroid_error < 0.025


def test_a_seed_decides_the_video(pipeline: Tora2Pipeline, scene: Scene) -> None:
    short = replace(scene, sampling=replace(scene.sampling, steps=3))
    other = replace(short, sampling=replace(short.sampling, seed=4))
    assert torch.equal(pipeline(short).latents, pipeline(short).latents)
    assert not torch.equal(pipeline(short).latents, pipeline(other).latents)


def test_what_the_model_cannot_do_is_said(pipeline: Tora2Pipeline, scene: Scene) -> None:
    entities = (replace(scene.entities[0], word="dragon"), *scene.entities[1:])
    with pytest.raises(ValueError, match="'dragon' is not one that this model knows; expected one"):
        pipeline(replace(scene, prompt="a dragon", entities=entities))
    large = replace(scene.trajectories, width=192)
    with pytest.raises(ValueError, match="192x96 with 17 frames, but this model makes 96x96"):
        pipeline(replace(scene, trajectories=large))
    with pytest.raises(ValueError, match="text-to-video one and takes no image"):
        pipeline(scene, image=torch.zeros(3, 96, 96))


def test_the_bundle_is_small_and_describes_itself() -> None:
    folder = Path(__import__("tora2").__file__).parent / "assets" / "tiny"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size <= 20_000_000
    index = json.loads((folder / "model_index.json").read_text())
    assert (index["width"], index["height"], index["frames"]) == (96, 96, 17)
    assert "circle" in index["words"]
    assert (folder / "README.md").is_file()
