"""Cut-outs along paths in the real host, and what its own nodes make of the clip."""

from pathlib import Path
from typing import Any

import builders
import pytest
import torch

DOCUMENT = {
    "version": 1,
    "width": 96,
    "height": 64,
    "frames": 9,
    "entities": [{"id": "fox", "color": "#e4572e"}, {"id": "robot"}],
    "tracks": [
        {"id": "a", "entity": "fox", "points": [{"x": 0.2, "y": 0.8}, {"x": 0.5, "y": 0.8}]},
        {"id": "b", "entity": "robot", "start": 4, "points": [{"x": 0.8, "y": 0.7}]},
    ],
}


def example(host: Any, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return host.NODE_CLASS_MAPPINGS["Tora2ExamplePicture"].execute(name).result


def placed(host: Any, pack: builders.Pack, **more: Any) -> Any:
    nodes = host.NODE_CLASS_MAPPINGS
    cutouts = {}
    for name, start, end in (("robot", 0.6, 0.6), ("fox", 0.4, 0.8)):
        image, mask = example(host, name)
        made = nodes["Tora2CutOut"].execute(
            image, name, start, end, "frame height", "feet", mask=mask
        )
        cutouts[f"cutout{len(cutouts)}"] = made.result[0]
    document = pack("tora2.trajectory").parse(DOCUMENT)
    return nodes["Tora2PlaceEntities"].execute(document, cutouts, **more)


def test_a_clip_is_put_together(host: Any, pack: builders.Pack) -> None:
    import folder_paths
    from PIL import Image

    meadow = example(host, "meadow")[0]
    made = placed(host, pack, background=meadow)
    frames, masks, identity, boxes, first, entity_masks = made.result
    assert frames.shape == identity.shape == (9, 64, 96, 3) and masks.shape == (9, 64, 96)
    assert torch.equal(first, frames[:1]) and entity_masks.shape == (2, 64, 96)
    assert [[box["label"] for box in frame] for frame in boxes[3:5]] == [["fox"], ["robot", "fox"]]
    fox = [next(box for box in frame if box["label"] == "fox") for frame in boxes]
    assert fox[0]["height"] == pytest.approx(26, abs=2)
    assert fox[-1]["height"] == pytest.approx(51, abs=2)
    assert fox[0]["y"] + fox[0]["height"] == pytest.approx(51, abs=1)  # its feet are on the path
    assert entity_masks[0].sum() > 50 and entity_masks[1].sum() == 0  # the robot comes later
    colors = {tuple(color) for color in identity.flatten(0, 2).tolist()}
    assert colors == {(0, 0, 0), (0, 0, 1), (1, 0, 0)}
    without = placed(host, pack, empty="white", ground="white", colors="editor").result
    assert without[0][0, 0, 0].tolist() == [1, 1, 1] and without[2][0, 0, 0].tolist() == [1, 1, 1]
    (file,) = made.ui["images"]
    folder = Path(folder_paths.get_directory_by_type(file["type"])) / file["subfolder"]
    with Image.open(folder / file["filename"]) as picture:
        assert picture.n_frames == 9 and made.ui["animated"] == (True,)


def test_its_masks_spread_points_and_its_colours_are_read(host: Any, pack: builders.Pack) -> None:
    from comfy_extras.nodes_scail import _extract_mask_to_28ch

    _, _, identity, boxes, _, entity_masks = placed(host, pack).result
    document = pack("tora2.trajectory").parse(DOCUMENT)
    tracks = host.NODE_CLASS_MAPPINGS["Tora2Tracks"].execute(
        document, "wait", 5, 0.05, 0, entity_masks, boxes
    )
    for x, y in tracks.result[0]["track_path"][0, 2:6].tolist():
        assert entity_masks[0, int(y), int(x)] == 1
    channels = _extract_mask_to_28ch(identity)[0, 2].view(4, 7, 8, 12).amax((0, 2, 3))
    assert (channels > 0).tolist() == [False, True, False, True, False, False, False]  # red, blue


def test_vace_takes_the_control_video(host: Any, pack: builders.Pack) -> None:
    from comfy_extras.nodes_wan import WanVaceToVideo

    class Vae:
        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            self.seen = [*getattr(self, "seen", []), frames]
            return torch.zeros(1, 16, (len(frames) - 1) // 4 + 1, 8, 12)

    frames, masks, *_ = placed(host, pack).result
    node = host.NODE_CLASS_MAPPINGS["Tora2ControlVideo"]
    video, controls = node.execute(frames, masks, "background", False).result
    assert ((controls == 1) == (masks < 0.5)).all() and (video[controls == 1] == 0.5).all()
    assert torch.equal(video[controls == 0], frames[controls == 0])
    vae, text = Vae(), [[torch.zeros(1, 4), {}]]
    got = WanVaceToVideo.execute(text, text, vae, 96, 64, 9, 1, 1.0, video, controls).result
    assert got[0][0][1]["vace_frames"][0].shape[2] == 3
    inactive, reactive = vae.seen
    assert torch.allclose(inactive[controls == 0], frames[controls == 0], atol=1e-6)
    assert torch.allclose(reactive, torch.full_like(reactive, 0.5))
    video, controls = node.execute(frames, masks, "entities", True, grow=4).result
    assert controls[0].sum() == 0 and torch.equal(video[0], frames[0])
    assert controls[5].sum() > (masks[5] > 0.5).sum() and controls[5][masks[5] > 0.5].all()
    with pytest.raises(ValueError, match="expected those of one clip"):
        node.execute(frames, masks[1:], "background", False)


def test_what_does_not_belong_is_refused(host: Any, pack: builders.Pack) -> None:
    nodes = host.NODE_CLASS_MAPPINGS
    assert "size_start is 0" in nodes["Tora2CutOut"].validate_inputs(size_start=0)
    assert "fade is -1" in nodes["Tora2PlaceEntities"].validate_inputs(fade=-1)
    assert "grow is 9999" in nodes["Tora2ControlVideo"].validate_inputs(grow=9999)
    with pytest.raises(ValueError, match="neither a mask nor an alpha"):
        nodes["Tora2CutOut"].execute(torch.rand(1, 8, 8, 3), "", 0.5, 0.5, "picture", "middle")
    document = pack("tora2.trajectory").parse(DOCUMENT)
    alone = nodes["Tora2PlaceEntities"].execute(document).result
    assert (alone[0] == 0.5).all() and alone[3] == [[]] * 9
