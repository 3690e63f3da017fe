"""Cut-outs on their paths: where they are, how large, who hides whom, and clean edges."""

from typing import Any

import pytest
import torch

from tora2.cutouts import CutOut, cut_out
from tora2.placing import boxes, draw, owners, painted, place
from tora2.trajectory import TrajectoryDocument, parse

SIZE = (60, 100)


def document(*tracks: dict[str, Any], frames: int = 5) -> TrajectoryDocument:
    return parse(
        {
            "version": 1,
            "width": SIZE[1],
            "height": SIZE[0],
            "frames": frames,
            "entities": [{"id": "cat"}, {"id": "dog", "name": "Rex"}, {"id": "idle"}],
            "tracks": [{"id": f"t{i}", "curve": "linear", **one} for i, one in enumerate(tracks)],
        }
    )


def path(*points: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {"points": [{"x": x, "y": y} for x, y in points], **more}


def disc(side: int = 41, color: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> torch.Tensor:
    """Layers of a soft disc."""
    grid = torch.arange(side) - (side - 1) / 2
    alpha = (side / 2 - 1 - (grid**2 + grid[:, None] ** 2).sqrt()).clamp(0, 1)
    picture = torch.tensor(color).expand(1, side, side, 3)
    return cut_out(picture, alpha[None])


def square(color: tuple[float, float, float], side: int = 12) -> torch.Tensor:
    return cut_out(torch.tensor(color).expand(1, side, side, 3), torch.ones(1, side, side))


def grey(time: int) -> torch.Tensor:
    return torch.full((*SIZE, 3), 0.5)


def centre(mask: torch.Tensor) -> torch.Tensor:
    """(x, y) of the middle of a mask, in pixels."""
    ys = (torch.arange(mask.shape[0]) + 0.5)[:, None]
    xs = torch.arange(mask.shape[1]) + 0.5
    return torch.stack([(mask * xs).sum(), (mask * ys).sum()]) / mask.sum()


@pytest.mark.parametrize("size", [0.1, 0.35, 0.9])
def test_a_cut_out_is_where_its_path_is_between_pixels_too(size: float) -> None:
    paths = document(path((0.45, 0.5), (0.46, 0.503), entity="cat"))
    placed = place(paths, [CutOut(disc(), start=size, end=size)])
    for time, shot in enumerate(draw(placed, grey, 5)):
        expected = placed[0].place[time].float()
        assert torch.allclose(centre(shot.mask), expected, atol=0.02)
        assert float(shot.mask.sum()) == pytest.approx(
            3.1416 / 4 * (size * 60 * 39 / 41) ** 2, rel=0.08
        )
        assert torch.allclose(shot.mask, shot.own[0], atol=1e-6)


def test_the_size_follows_the_path() -> None:
    paths = document(path((0.5, 0.5), start=1, end=3, entity="cat"))
    one = place(paths, [CutOut(square((1, 0, 0)), start=0.2, end=0.4)])[0]
    assert one.height.tolist() == pytest.approx([12, 12, 18, 24, 24])
    assert one.opacity.tolist() == [0, 1, 1, 1, 0]
    by_picture = CutOut(square((1, 0, 0)), start=1.5, end=1.5, of_frame=False)
    assert place(paths, [by_picture])[0].height.tolist() == [18.0] * 5
    feet = CutOut(square((1, 0, 0)), start=0.2, end=0.2, anchor=(0.5, 1.0))
    assert place(paths, [feet])[0].box(0) == pytest.approx((44, 18, 12, 12))


def test_a_path_that_carries_sizes_multiplies_them() -> None:
    points = [{"x": 0.5, "y": 0.5, "scale": 1}, {"x": 0.6, "y": 0.5, "scale": 3}]
    paths = parse({**_VERSION_2, "tracks": [{"id": "t", "curve": "linear", "points": points}]})
    one = place(paths, [CutOut(square((1, 0, 0)), start=0.2, end=0.2)])[0]
    assert one.height[[0, -1]].tolist() == pytest.approx([12, 36])
    assert one.height.diff().min() > 0


_VERSION_2 = {"version": 2, "width": SIZE[1], "height": SIZE[0], "frames": 5}


def test_fading_is_at_the_ends_of_a_path_that_are_not_those_of_the_clip() -> None:
    late = place(document(path((0.5, 0.5), start=2, end=8), frames=13), [CutOut(disc())], fade=1)
    assert late[0].opacity.tolist() == pytest.approx([0, 0, 0.5, 1, 1, 1, 1, 1, 0.5, 0, 0, 0, 0])
    whole = place(document(path((0.5, 0.5)), frames=13), [CutOut(disc())], fade=3)
    assert whole[0].opacity.tolist() == [1] * 13


def test_who_is_in_front() -> None:
    paths = document(path((0.5, 0.5), entity="cat"), path((0.5, 0.55), entity="dog"))
    cat, dog = (
        CutOut(square((1, 0, 0)), "cat", 0.5, 0.5),
        CutOut(square((0, 0, 1)), "rex", 0.3, 0.3),
    )
    for order, expected in (
        ("last in front", (1.0, 0.0, 0.0)),  # given last
        ("lower in front", (1.0, 0.0, 0.0)),
        ("larger in front", (1.0, 0.0, 0.0)),
    ):
        shot = next(draw(place(paths, [dog, cat]), grey, 1, order))
        assert shot.frame[32, 50].tolist() == pytest.approx(expected, abs=1e-5)
        assert shot.seen[1, 32, 50] and not shot.seen[0, 32, 50] and shot.own[0, 32, 50] > 0.999
    shot = next(draw(place(paths, [cat, dog]), grey, 1))
    assert shot.frame[32, 50].tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    low = document(path((0.5, 0.5), entity="cat"), path((0.5, 0.8), entity="dog"))
    shot = next(draw(place(low, [dog, cat]), grey, 1, "lower in front"))
    assert shot.frame[42, 50].tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    with pytest.raises(ValueError, match="order is 'up'"):
        next(draw(place(paths, [cat]), grey, 1, "up"))


def test_a_soft_edge_brings_nothing_of_its_old_background() -> None:
    side = 41
    alpha = disc(side)[0, 3]
    alpha = torch.nn.functional.avg_pool2d(alpha[None], 5, 1, 2)[0]  # a wide, soft edge
    green = torch.tensor([0.0, 1.0, 0.0]).expand(*alpha.shape, 3)
    red = torch.tensor([0.9, 0.1, 0.1]).expand(*alpha.shape, 3)
    photograph = red * alpha[..., None] + green * (1 - alpha[..., None])
    paths = document(path((0.501, 0.502)))

    def over_white(layers: torch.Tensor) -> torch.Tensor:
        placed = place(paths, [CutOut(layers, start=0.6, end=0.6)])
        return next(draw(placed, lambda _: torch.ones(*SIZE, 3), 1)).frame

    expected = over_white(cut_out(red[None], alpha[None]))
    clean = over_white(cut_out(photograph[None], alpha[None]))
    dirty = over_white(cut_out(photograph[None], alpha[None], clean=False))
    assert float((clean - expected).abs().max()) < 0.03
    assert float((dirty - expected).abs().max()) > 0.15
    # A white thing over white stays white: nothing darkens or brightens at its edge.
    white = over_white(cut_out(torch.ones(1, *alpha.shape, 3), alpha[None]))
    assert float((white - 1).abs().max()) < 1e-5


def test_a_see_through_thing_keeps_its_colours() -> None:
    glass = torch.rand(1, 8, 8, 3)
    layers = cut_out(glass, torch.full((1, 8, 8), 0.5))
    assert torch.allclose(layers[:, :3], glass.movedim(-1, 1) * 0.5, atol=1e-6)
    assert torch.equal(
        cut_out(torch.cat([glass, torch.ones(1, 8, 8, 1)], -1))[:, 3], torch.ones(1, 8, 8)
    )


def test_identity_colours_and_boxes() -> None:
    paths = document(path((0.3, 0.5), entity="dog"), path((0.34, 0.5), entity="cat"), path((2, 2)))
    cutouts = [CutOut(square((1, 1, 1)), start=0.2, end=0.2) for _ in range(3)]
    assert owners(paths) == ["cat", "dog", "t2"]
    placed = place(paths, cutouts)
    assert [one.owner for one in placed] == ["cat", "dog", "t2"]
    shot = next(draw(placed, grey, 1))
    colors = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    flat = painted(shot.seen, colors, torch.zeros(3))
    assert set(map(tuple, flat.flatten(0, 1).tolist())) == {(0, 0, 0), (1, 0, 0), (0, 1, 0)}
    found = boxes(shot, ["cat", "dog", "t2"])
    assert [box["label"] for box in found] == ["cat", "dog"]
    assert found[0] == {"x": 28, "y": 24, "width": 12, "height": 12, "label": "cat", "score": 1.0}


def test_cut_outs_find_their_paths_or_say_why_not() -> None:
    paths = document(path((0.5, 0.5), entity="cat"), path((0.5, 0.5), entity="dog"))
    named, free = CutOut(disc(), "Rex"), CutOut(disc())
    assert [one.owner for one in place(paths, [free, named])] == ["cat", "dog"]
    with pytest.raises(ValueError, match="'wolf' is not in the trajectories, which have cat, Rex"):
        place(paths, [CutOut(disc(), "wolf")])
    with pytest.raises(ValueError, match="two cut-outs want the path of 'Rex'"):
        place(paths, [named, CutOut(disc(), "dog")])
    with pytest.raises(ValueError, match="there are 3 cut-outs, expected no more than paths"):
        place(paths, [free, CutOut(disc()), CutOut(disc())])
    with pytest.raises(ValueError, match="the mask is empty"):
        cut_out(torch.rand(1, 4, 4, 3), torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="neither a mask nor an alpha channel"):
        cut_out(torch.rand(1, 4, 4, 3))
    with pytest.raises(ValueError, match="start is 0, expected a size above 0"):
        CutOut(disc(), start=0)


def test_animated_cut_outs_repeat() -> None:
    layers = torch.cat([square((1, 0, 0)), square((0, 1, 0))])
    placed = place(document(path((0.5, 0.5))), [CutOut(layers, start=0.2, end=0.2)])
    seen = [shot.frame[30, 50].argmax() for shot in draw(placed, grey, 4)]
    assert [int(one) for one in seen] == [0, 1, 0, 1]
