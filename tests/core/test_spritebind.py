"""SpriteBind: deterministic, leak-free, and what it says is what it draws."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
import torch

from tora2.data.spritebind import (
    BACKGROUNDS,
    SHAPES,
    Sprite,
    SpriteBind,
    SpriteBindConfig,
    is_heldout,
    paint,
    saturated,
)
from tora2.evaluation.metrics.colour import (
    bound,
    dominant_hue,
    hue_gap,
    hue_of,
    hue_saturation_value,
    locate,
)

CONFIG = SpriteBindConfig(size=64, frames=9, picture=32)


def hue(sprite: Sprite) -> float:
    return hue_of(torch.tensor(sprite.rgb))


def test_a_clip_depends_on_seed_split_and_index_alone() -> None:
    first, again = SpriteBind(CONFIG, 3)[5], SpriteBind(CONFIG, 3)[5]
    assert torch.equal(first.frames, again.frames) and first.caption == again.caption
    assert all(torch.equal(a, b) for a, b in zip(first.pictures, again.pictures, strict=True))
    other = SpriteBind(CONFIG, 4)[5]
    assert first.caption != other.caption or not torch.equal(first.frames, other.frames)
    with pytest.raises(IndexError):
        SpriteBind(CONFIG, 3, length=2)[2]
    with pytest.raises(ValueError, match="split 'test'"):
        SpriteBind(CONFIG, 3, "test")


@pytest.mark.parametrize("index", range(8))
def test_captions_name_shapes_and_never_looks(index: int) -> None:
    clip = SpriteBind(CONFIG, 0)[index]
    words = clip.caption.replace(",", " ").split()
    assert sorted(w for w in words if w in SHAPES) == sorted(clip.words)
    places = {word for phrase in BACKGROUNDS for word in phrase.split()}
    assert set(words) <= set(SHAPES) | places | {"a", "and"}


def test_training_never_shows_a_heldout_combination() -> None:
    for index in range(60):
        for sprite in SpriteBind(CONFIG, 0)[index].sprites:
            assert not is_heldout(sprite.shape, hue(sprite))
        first = SpriteBind(CONFIG, 0, "heldout")[index].sprites[0]
        assert is_heldout(first.shape, hue(first))


def test_hard_clips_have_three_of_one_shape_whose_colours_differ() -> None:
    for index in range(10):
        clip = SpriteBind(CONFIG, 0, "hard")[index]
        assert len(clip.sprites) == 3 and len(set(clip.words)) == 1
        hues = [hue(sprite) for sprite in clip.sprites]
        gaps = [float(hue_gap(torch.tensor(a), b)) for a in hues for b in hues if a != b]
        assert min(gaps) > 0.16


def test_untold_clips_keep_back_the_path_of_a_heldout_sprite_alone() -> None:
    for index in range(20):
        clip = SpriteBind(CONFIG, 0, "untold")[index]
        first = clip.sprites[0]
        assert is_heldout(first.shape, hue(first)) and len(clip.sprites) > 1
        assert sorted(clip.tracks.entity.tolist()) == list(range(1, len(clip.sprites)))
        assert (clip.centers[0] == clip.centers[0, :1]).all()


def test_what_no_path_is_told_of_stays_where_it_is_unless_it_may_move() -> None:
    def moving(still: bool) -> tuple[int, int]:
        """How many sprites move, of those with a path and of those without."""
        counts = [0, 0]
        clips = SpriteBind(replace(CONFIG, untold=0.5, still=still), 0)
        for clip in (clips[index] for index in range(40)):
            moves = (clip.centers != clip.centers[:, :1]).any(-1).any(-1)
            told = torch.zeros_like(moves)
            told[clip.tracks.entity] = True
            assert (clip.tracks.points == clip.centers[clip.tracks.entity]).all()
            counts = [counts[0] + int((moves & told).sum()), counts[1] + int((moves & ~told).sum())]
        return counts[0], counts[1]

    with_path, without = moving(still=True)
    assert with_path > 20 and without == 0
    with_path, without = moving(still=False)
    assert with_path > 20 and without > 20


def test_sprites_are_where_the_tracks_say() -> None:
    """Measured by colour on the true frames, in full view, the error is a fraction of a pixel."""
    errors = []
    for index in range(12):
        clip = SpriteBind(CONFIG, 1, "heldout")[index]
        hues = [hue(sprite) for sprite in clip.sprites]
        frames = clip.frames.movedim(1, -1).float() / 255
        whole = clip.coverage > 0.98
        distance = (locate(frames, hues) - clip.centers).abs().sum(-1)[whole]
        errors.append(distance[torch.isfinite(distance)])
        assert bound(frames, hues, clip.centers)[whole].float().mean() > 0.9
    assert torch.cat(errors).median() < 1.5


def test_large_sprites_leave_neither_size_nor_turn_to_chance() -> None:
    def drawn(config: SpriteBindConfig) -> list[Sprite]:
        return [sprite for index in range(20) for sprite in SpriteBind(config, 0)[index].sprites]

    large, small = drawn(SpriteBindConfig(sprites="large")), drawn(SpriteBindConfig())
    assert all(0.168 <= sprite.radius / 96 <= 0.176 for sprite in large)
    assert all(abs(sprite.rotation) <= 0.05 for sprite in large)
    assert all(0.12 <= sprite.radius / 96 <= 0.18 for sprite in small)
    assert max(abs(sprite.rotation) for sprite in small) > 0.2


def test_hard_shapes_may_be_drawn_more_often_for_training_alone() -> None:
    def words(config: SpriteBindConfig, split: str) -> Counter[str]:
        clips = SpriteBind(config, 0, split)
        return Counter(word for index in range(60) for word in clips[index].words)

    plain, more = SpriteBindConfig(size=16), SpriteBindConfig(size=16, often={"star": 4.0})
    assert words(more, "train")["star"] > 1.5 * words(plain, "train")["star"]
    assert words(more, "heldout") == words(plain, "heldout")
    with pytest.raises(ValueError, match="often names the shape 'moon'; expected some of circle"):
        SpriteBindConfig(often={"moon": 2.0})
    with pytest.raises(ValueError, match=r"often\.star"):
        SpriteBindConfig(often={"star": 0.0})


def test_sprites_are_slow_and_keep_apart_where_they_are_to() -> None:
    def least_and_most(config: SpriteBindConfig, split: str) -> tuple[float, float]:
        """The nearest that two sprites come, and the farthest way in a frame; pixels."""
        gaps, ways = [], []
        for index in range(40):
            centers = SpriteBind(config, 0, split)[index].centers
            ways.append(centers.diff(dim=1).norm(dim=-1).max())
            for one, other in combinations(centers, 2):
                gaps.append((one - other).norm(dim=-1).min())
        return float(min(gaps)), float(max(ways))

    kept = SpriteBindConfig(sprites="large", meeting=0, fastest=0.06)
    near, fast = least_and_most(kept, "train")
    assert near >= 1.45 * 0.168 * 96 and 0.04 * 96 < fast <= 0.06 * 96
    near, fast = least_and_most(replace(kept, fastest=0), "train")
    assert near >= 1.45 * 0.168 * 96 and fast > 0.1 * 96
    near, fast = least_and_most(replace(kept, meeting=1), "train")
    assert near < 10 and fast <= 0.06 * 96
    assert least_and_most(kept, "hard")[0] < 10


def test_no_path_is_kept_back_where_none_is_to_be() -> None:
    clips = SpriteBind(SpriteBindConfig(untold=0.0), 0)
    assert all(len(clips[i].tracks.entity) == len(clips[i].sprites) for i in range(20))


def test_a_window_is_a_part_of_the_whole_clip() -> None:
    config = SpriteBindConfig(max_entities=1)
    starts = set()
    for index in range(12):
        long, short = SpriteBind(config, 0)[index], SpriteBind(replace(config, window=5), 0)[index]
        found = [s for s in range(13) if torch.equal(long.centers[:, s : s + 5], short.centers)]
        assert found and short.frames.shape == (5, 3, 96, 96) and short.tracks.frames == 5
        assert short.coverage.shape[1] == short.region.shape[0] == short.tracks.points.shape[1] == 5
        starts |= {found[0]} if len(found) == 1 else set()
    assert len(starts) > 4
    with pytest.raises(ValueError, match="window is 21, expected at most 17"):
        SpriteBindConfig(window=21)


def test_backgrounds_are_muted_and_sprites_are_not() -> None:
    for rgb in BACKGROUNDS.values():
        assert float(hue_saturation_value(torch.tensor(rgb))[1]) < 0.35
    for turn in range(12):
        color = torch.tensor(saturated(turn / 12, 0.75, 0.75))
        assert float(hue_saturation_value(color)[1]) > 0.7


def test_dominant_hue_of_a_reference_picture() -> None:
    clip = SpriteBind(CONFIG, 0)[0]
    for sprite, pictures in zip(clip.sprites, clip.pictures, strict=True):
        gap = hue_gap(torch.tensor(dominant_hue(pictures[0])), hue(sprite))
        assert float(gap) < 0.03
    with pytest.raises(ValueError, match="no saturated colour"):
        dominant_hue(torch.full((3, 16, 16), 255, dtype=torch.uint8))


def test_paint_covers_the_area_of_a_circle() -> None:
    import numpy as np

    canvas = np.zeros((1, 64, 64, 3), dtype=np.float32)
    cover = paint(
        canvas, Sprite("circle", (1.0, 0.5, 0.0), "plain", 12.0), np.array([[32.0, 30.5]])
    )
    assert cover.sum() == pytest.approx(np.pi * 144, rel=0.01)
    ys, xs = np.mgrid[:64, :64] + 0.5
    assert (cover[0] * xs).sum() / cover.sum() == pytest.approx(32.0, abs=0.05)
    assert (cover[0] * ys).sum() / cover.sum() == pytest.approx(30.5, abs=0.05)
    off = paint(canvas, Sprite("star", (1.0, 0, 0), "plain", 9.0), np.array([[-40.0, 200.0]]))
    assert off.sum() == 0
