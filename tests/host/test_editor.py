"""The editor's node in the real host: what it refuses, and what it gives."""

import inspect
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

DOCUMENT = {
    "version": 1,
    "width": 96,
    "height": 64,
    "frames": 9,
    "entities": [{"id": "cat", "color": "#ff0000"}],
    "tracks": [
        {"id": "t1", "entity": "cat", "points": [{"x": 0.25, "y": 0.5}, {"x": 0.75, "y": 0.5}]}
    ],
}


@pytest.fixture
def node(host: Any) -> Any:
    return host.NODE_CLASS_MAPPINGS["Tora2TrajectoryEditor"]


def test_the_schema_says_what_execute_takes(node: Any) -> None:
    schema = node.define_schema()
    names = [item.id for item in schema.inputs]
    assert names == list(inspect.signature(node.execute).parameters)
    assert all(item.tooltip for item in (*schema.inputs, *schema.outputs))
    assert names[0] == "document"  # saved workflows store widgets by position


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"version": 7}, "version is 7"),
        ({**DOCUMENT, "frames": 8}, "frames is 8"),
        ({**DOCUMENT, "fps": math.nan}, "fps is nan"),
        ("<b>", "is not JSON"),
        (3, "the document is 3"),
        ({**DOCUMENT, "surprise": 1}, "surprise"),
    ],
)
def test_junk_is_refused_before_a_run(node: Any, value: Any, complaint: str) -> None:
    assert complaint in node.validate_inputs(document=value)


def test_four_megabytes_of_keys_are_refused_in_one_pass(host: Any, node: Any) -> None:
    """Inputs are validated on the server's event loop, where nothing may take long."""
    keys = [f"k{number}" for number in range(250_000)]
    text = "{" + ",".join(f'"{key}":0' for key in (*keys, keys[-1])) + "}"
    assert "'k249999' occurs twice" in node.validate_inputs(document=text)
    assert "too long" in node.validate_inputs(document=text + " " * (4 * 2**20 - len(text) + 1))
    assert "unknown key 'k0'" in node.validate_inputs(
        document={"version": 1} | dict.fromkeys(keys, 0)
    )
    importer = host.NODE_CLASS_MAPPINGS["Tora2ImportTrajectories"]
    assert "'k249999' occurs twice" in importer.validate_inputs(text=text, file="none")


@pytest.mark.parametrize("value", [DOCUMENT, None, ""])
def test_documents_and_nothing_yet_are_fine(node: Any, value: Any) -> None:
    assert node.validate_inputs(document=value) is True


def test_outputs_without_options(node: Any) -> None:
    result = node.execute(document=DOCUMENT)
    trajectories, tracks, preview = result.result
    assert trajectories.tracks[0].entity == "cat"
    assert tracks["track_path"].shape == (9, 1, 2)
    assert tracks["track_path"][0, 0].tolist() == [24.0, 32.0]
    assert tracks["track_path"][8, 0].tolist() == [72.0, 32.0]
    assert tracks["track_visibility"].all()
    assert preview.shape == (9, 64, 96, 3)
    assert len(result.ui["images"]) == 1
    red = preview[8, 32, 30:70]
    assert (red[:, 0] - red[:, 2]).max() > 0.5  # the path, in its entity's colour


def test_connected_sizes_and_pictures(node: Any) -> None:
    result = node.execute(
        document=DOCUMENT,
        background=torch.full((2, 32, 32, 3), 0.5),
        masks=torch.zeros(2, 32, 32),
        width=64,
        height=32,
        frames=5,
    )
    trajectories, tracks, preview = result.result
    assert (trajectories.width, trajectories.height, trajectories.frames) == (64, 32, 5)
    assert tracks["track_path"][4, 0].tolist() == [48.0, 16.0]
    assert preview.shape == (5, 32, 64, 3)
    assert torch.allclose(preview[0, 0, 0], torch.full((3,), 0.5), atol=1e-3)
    assert len(result.ui["tora2_background"]) == len(result.ui["tora2_masks"]) == 2
    assert result.ui["tora2_size"] == [{"width": 64, "height": 32, "frames": 5}]


def test_large_pictures_are_shown_small_and_the_preview_keeps_its_size(node: Any) -> None:
    result = node.execute(document=DOCUMENT, background=torch.rand(1, 30, 2050, 3))
    (file,) = result.ui["tora2_background"]
    from PIL import Image

    with Image.open(Path(folder_of(file)) / file["filename"]) as picture:
        assert picture.size == (1024, 15)
    assert result.result[2].shape == (9, 64, 96, 3)


def folder_of(file: dict[str, str]) -> str:
    import folder_paths

    return str(folder_paths.get_directory_by_type(file["type"]))


@pytest.mark.parametrize("name", ["Tora2TrajectoryEditor", "Tora2Overlay"])
def test_drawing_can_be_interrupted(host: Any, name: str) -> None:
    from comfy import model_management

    given: dict[str, Any] = {"document": DOCUMENT}
    if name == "Tora2Overlay":
        editor = host.NODE_CLASS_MAPPINGS["Tora2TrajectoryEditor"]
        trajectories, _, frames = editor.execute(**given).result
        given = {"frames": frames, "trajectories": trajectories}
    model_management.interrupt_current_processing(True)
    with pytest.raises(model_management.InterruptProcessingException):
        host.NODE_CLASS_MAPPINGS[name].execute(**given)
    host.NODE_CLASS_MAPPINGS[name].execute(**given)  # and only once


@pytest.mark.parametrize("size", [(192, 108), (108, 192), (100, 67), (96, 64)])
def test_the_background_is_cut_as_the_first_frame_is(host: Any, node: Any, size: Any) -> None:
    wide, high = size
    ramp = torch.stack(
        [
            torch.linspace(0, 1, wide).expand(high, -1),
            torch.linspace(0, 1, high)[:, None].expand(-1, wide),
            torch.zeros(high, wide),
        ],
        dim=-1,
    )[None]
    empty = {**DOCUMENT, "entities": [], "tracks": []}
    fitting = sys.modules[node.execute.__func__.__module__.replace("editor", "fitting")]
    from comfy.utils import common_upscale

    for fit in fitting.FITS:
        preview = node.execute(document=empty, background=ramp, fit=fit).result[2][0]
        if fit == "pad":
            inside = preview[:, :, 2] == 0
            assert bool(inside.all())
            whole = preview[32, :, 0].max(), preview[:, 48, 1].max()
            assert min(whole) > 0.97  # both edges of the picture are there
            continue
        how = "center" if fit == "crop" else "disabled"
        first = common_upscale(ramp.movedim(-1, 1), 96, 64, "bilinear", how).movedim(1, -1)[0]
        assert float((preview - first).abs().max()) < 0.02, fit
    ran = node.execute(document=empty, background=ramp).result[2][0]
    assert torch.equal(ran, node.execute(document=empty, background=ramp, fit="crop").result[2][0])
