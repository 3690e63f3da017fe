"""Our paths in the host's own Wan-Move and ATI: what they read of them."""

import json
from typing import Any

import builders
import pytest
import torch

SIZE = (96, 64, 17)
LATE = {
    "version": 1,
    "width": SIZE[0],
    "height": SIZE[1],
    "frames": SIZE[2],
    "entities": [{"id": "cat"}, {"id": "dog"}],
    "tracks": [
        {
            "id": "late",
            "entity": "cat",
            "curve": "linear",
            "start": 8,
            "points": [{"x": 0.3, "y": 0.3}, {"x": 0.7, "y": 0.3}],
        },
        {
            "id": "enters",
            "entity": "dog",
            "curve": "linear",
            "points": [{"x": -0.4, "y": 0.7}, {"x": 0.6, "y": 0.7}],
        },
    ],
}


def carried(tracks: dict[str, torch.Tensor]) -> torch.Tensor:
    """What Wan-Move makes of a video latent whose cells know where they are in the first frame."""
    from comfy_extras.nodes_wanmove import create_pos_embeddings, replace_feature

    width, height, frames = SIZE
    torch.manual_seed(0)
    places = create_pos_embeddings(
        tracks["track_path"], tracks["track_visibility"], [4, 8, 8], height, width
    )
    cells = torch.arange(height // 8 * (width // 8)).view(height // 8, width // 8).float()
    latent = -torch.ones(1, 1, (frames - 1) // 4 + 1, height // 8, width // 8)
    latent[0, 0, 0] = cells
    return replace_feature(latent, places[None])[0, 0]


CORNER = 95 // 8 + (63 // 8) * 12


def test_a_late_track_no_longer_carries_the_corner(host: Any, pack: builders.Pack) -> None:
    trajectory, to_host = pack("tora2.trajectory"), pack("tora2.trajectory.formats").to_host
    document = trajectory.parse(LATE)
    raw = carried(to_host(trajectory.sample(document)))
    assert (raw[1:] == CORNER).any()  # the host's own reading of such tracks
    nodes = host.NODE_CLASS_MAPPINGS
    for tracks in (
        nodes["Tora2TrajectoryEditor"].execute(document=LATE).result[1],
        nodes["Tora2ExportTrajectories"].execute(document, "x", "document").result[1],
        nodes["Tora2Tracks"].execute(document, "wait", 1, 0.05, 0).result[0],
        nodes["Tora2Tracks"].execute(document, "wait", 6, 0.1, 0).result[0],
    ):
        got = carried(tracks)
        assert not (got[1:] == CORNER).any()
        start = tracks["track_path"][0]
        expected = {int(y // 8) * 12 + int(x // 8) for x, y in start.tolist()}
        assert set(got[1:][got[1:] >= 0].tolist()) <= expected and len(expected) >= 2
    as_drawn = nodes["Tora2Tracks"].execute(document, "as drawn", 1, 0.05, 0).result[0]
    assert torch.equal(carried(as_drawn), raw)


def test_late_tracks_are_told_or_refused(host: Any, pack: builders.Pack) -> None:
    document = pack("tora2.trajectory").parse(LATE)
    node = host.NODE_CLASS_MAPPINGS["Tora2Tracks"]
    report = node.execute(document, "wait", 3, 0.05, 0).result[5]
    assert "late of cat is first seen at frame 8 and waits there from frame 0" in report
    assert "enters of dog is first seen at frame 7" in report
    assert report.endswith("2 paths, 6 points, 96x64 with 17 frames")
    with pytest.raises(ValueError, match="late of cat is first seen at frame 8, expected one that"):
        node.execute(document, "refuse", 1, 0.05, 0)


def test_the_host_parses_our_coordinates(host: Any, pack: builders.Pack) -> None:
    from comfy_extras.nodes_wan import pad_pts, parse_json_tracks, process_tracks
    from comfy_extras.nodes_wanmove import WanMoveTracksFromCoords

    document = pack("tora2.trajectory").parse(LATE)
    node = host.NODE_CLASS_MAPPINGS["Tora2Tracks"]
    tracks, text, *size, _ = node.execute(document, "wait", 2, 0.05, 0).result
    assert size == list(SIZE)
    back, length = WanMoveTracksFromCoords.execute(text).result
    assert length == 17 and torch.allclose(back["track_path"], tracks["track_path"], atol=1e-3)
    assert not (carried(back)[1:] == CORNER).any()
    exported = host.NODE_CLASS_MAPPINGS["Tora2ExportTrajectories"].execute(document, "x", "csv")
    assert len(parse_json_tracks(exported.result[0])) == 2

    ati = node.execute(document, "wait", 1, 0.05, 121).result[1]
    parsed = parse_json_tracks(ati)
    padded = torch.stack([torch.from_numpy(pad_pts(track)) for track in parsed]).numpy()
    assert padded.shape == (2, 121, 1, 3) and padded[..., 2].min() == 1  # nothing was padded
    read = process_tracks(padded, (96, 64), 16)
    assert read.shape == (17, 2, 4) and (read[..., 3] == 1).all()
    first = tracks["track_path"][0, :2]
    assert torch.allclose(read[0, :, 1:3] * 32 + torch.tensor([48.0, 32.0]), first, atol=1e-3)


def test_ati_takes_them_whole(host: Any, pack: builders.Pack) -> None:
    from comfy_extras.nodes_wan import WanTrackToVideo

    class Vae:
        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            return torch.zeros(1, 16, (len(frames) - 1) // 4 + 1, 8, 12)

    document = pack("tora2.trajectory").parse(LATE)
    node = host.NODE_CLASS_MAPPINGS["Tora2Tracks"]
    text = node.execute(document, "wait", 2, 0.05, 121).result[1]
    positive, _, latent = WanTrackToVideo.execute(
        [[torch.zeros(1, 4), {}]],
        [[torch.zeros(1, 4), {}]],
        Vae(),
        text,
        *SIZE,
        1,
        220.0,
        2,
        start_image=torch.rand(1, 64, 96, 3),
    ).result
    assert latent["samples"].shape[2] == 5 and positive[0][1]["concat_mask"].amax() > 0


def test_points_are_spread_over_masks_and_boxes(host: Any, pack: builders.Pack) -> None:
    document = pack("tora2.trajectory").parse(LATE)
    node = host.NODE_CLASS_MAPPINGS["Tora2Tracks"]
    masks = torch.zeros(2, 32, 48)
    masks[0, 2:16, 4:24] = 1
    masks[1, 16:30, 2:20] = 1
    start = node.execute(document, "wait", 4, 0.01, 0, masks).result[0]["track_path"][0]
    assert start.shape == (8, 2)
    cat, dog = start[2:5], start[5:]
    assert ((cat > torch.tensor([8.0, 4.0])) & (cat < torch.tensor([48.0, 32.0]))).all()
    assert ((dog > torch.tensor([4.0, 32.0])) & (dog < torch.tensor([40.0, 60.0]))).all()
    boxes = [
        [
            {"x": 0, "y": 32, "width": 40, "height": 30, "label": "Dog"},
            {"x": 50, "y": 4, "width": 40, "height": 20, "label": "cat", "score": 0.9},
        ]
    ]
    start = node.execute(document, "wait", 2, 0.01, 0, None, boxes).result[0]["track_path"][0]
    assert start[2, 0] > 50 and start[3, 1] > 32
    with pytest.raises(ValueError, match="1 masks and 2 entities with a path"):
        node.execute(document, "wait", 4, 0.01, 0, masks[:1])
    with pytest.raises(ValueError, match="no bounding boxes"):
        node.execute(document, "wait", 4, 0.01, 0, None, [[7]])
    assert len(json.loads(node.execute(document, "wait", 4, 0.01, 9, masks).result[1])) == 8
