"""Shapes and textures told by matching: right on drawn sprites, wrong on others' and on blobs."""

import torch

from tora2.data.spritebind import SpriteBind, SpriteBindConfig
from tora2.evaluation.metrics.colour import hue_of
from tora2.evaluation.shapes import area_of, look


def test_drawn_sprites_are_recognised() -> None:
    for size in ("small", "large"):
        data = SpriteBind(SpriteBindConfig(sprites=size), 1, "heldout")  # type: ignore[arg-type]
        shapes, textures = [], []
        for index in range(12):
            clip = data[index]
            frame = clip.frames[8].permute(1, 2, 0).float() / 255
            for sprite, seen in zip(clip.sprites, clip.coverage[:, 8], strict=True):
                if seen > 0.97:
                    found = look(frame, hue_of(torch.tensor(sprite.rgb)))
                    assert found is not None and 0.6 < found.overlap <= 1
                    shapes.append(found.shape == sprite.shape)
                    textures.append(found.texture == sprite.texture)
        assert len(shapes) > 10 and sum(shapes) / len(shapes) > 0.95
        assert sum(textures) / len(textures) > 0.9


def test_a_blurred_star_is_no_star_and_nothing_is_nothing() -> None:
    data = SpriteBind(SpriteBindConfig(sprites="large", max_entities=1), 2)
    clip = next(c for c in data if c.sprites[0].shape == "star" and c.coverage[0, 0] == 1)
    frames = clip.frames.permute(0, 2, 3, 1).float() / 255
    hue = hue_of(torch.tensor(clip.sprites[0].rgb))
    sharp = look(frames[0], hue)
    assert sharp is not None and sharp.shape == "star"
    small = torch.nn.functional.avg_pool2d(frames[:1].permute(0, 3, 1, 2), 16)
    blob = torch.nn.functional.interpolate(small, scale_factor=16, mode="bilinear")
    blurred = look(blob[0].permute(1, 2, 0), hue)
    assert blurred is None or blurred.overlap < sharp.overlap - 0.05
    assert look(torch.full((96, 96, 3), 0.8), hue) is None
    assert area_of(frames, hue).shape == (17,)
