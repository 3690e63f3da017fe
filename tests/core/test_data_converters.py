"""Public sets in their own layouts, made small, become our clips."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tora2.cli import main
from tora2.data.clipset import ClipSet
from tora2.data.converters import Converted, readers
from tora2.data.converters.motion360 import project
from tora2.data.record import parse_record
from tora2.data.shards import json_bytes
from tora2.video import write_video

FORWARD, RIGHT, UP = np.eye(3)


def pose(axes: np.ndarray, place: tuple[float, float, float]) -> str:
    """A matrix as Unreal writes it: rows are the axes, the last one the place."""
    rows = [f"[{' '.join(map(str, row))} 0]" for row in axes.tolist()]
    return " ".join([*rows, f"[{' '.join(map(str, place))} 1]"]) + " "


@pytest.fixture
def motion360(tmp_path: Path) -> Path:
    """One take of two animals before one camera eight metres away, six frames."""
    scene = tmp_path / "480_720" / "HDRI"
    take = scene / "D_loc2_7_t2n1_0007_Hemi12_1"
    (take / "videos").mkdir(parents=True)
    target = [100.0, -50.0, 10.0]
    poses = {
        str(t): [
            {"index": 4, "matrix": pose(np.eye(3), (100.0, -50.0 + 10 * t, 10.0))},
            {"index": 31, "matrix": pose(np.eye(3), (100.0, -50.0, 10.0 + 10 * t))},
        ]
        for t in range(6)
    }
    (take / f"{take.name}.json").write_text(json.dumps(poses))
    frames = torch.zeros(6, 480, 720, 3, dtype=torch.uint8)
    write_video(take / "videos" / f"{take.name}_C_01_35mm.mp4", frames, 30)
    place = {"name": "loc2", "coordinates": {"CameraTarget": {"position": target}}}
    (scene / "location_data.json").write_text(json.dumps([place]))
    told = [
        {"index": 4, "eng": " A polar bear with thick white fur."},
        {"index": 31, "eng": "a fox, small and red"},
    ]
    (tmp_path / "CharacterInfo.json").write_text(json.dumps({"CharacterInfo": told}))
    # The camera stands 800 cm behind the target and looks at it along x.
    cameras = {"C_01_35mm": pose(np.eye(3), (-800.0, 0.0, 0.0))}
    (tmp_path / "Hemi12_transforms.json").write_text(json.dumps(cameras))
    (tmp_path / "RefPic").mkdir()
    for name in ("004_bear.png", "31.jpg"):
        Image.new("RGB", (20, 16), "red").save(tmp_path / "RefPic" / name)
    return tmp_path


def read_all(name: str, folder: Path) -> list[Converted]:
    return [read() for read in readers(name, folder)]


def test_360motion(motion360: Path) -> None:
    (clip,) = read_all("360motion", motion360)
    record = parse_record(json_bytes(clip.record.to_dict()))
    assert record.caption == (
        "a polar bear with thick white fur and a fox, small and red are moving in the park"
    )
    assert (record.width, record.height, record.frames, record.fps) == (720, 480, 6, 30.0)
    words = [record.caption[slice(*entity.span)] for entity in record.entities]
    assert words == [entity.word for entity in record.entities] == ["polar bear", "fox"]
    assert set(clip.pictures) == {"e0.0", "e1.0"}
    assert clip.pictures["e0.0"].name == "004_bear.png"
    # y is to the right and z is up; 10 cm at 8 m are 1060.606 / 80 pixels.
    step = 1060.606 * 10 / 800
    bear, fox = (entity.tracks[0] for entity in record.entities)
    times = np.arange(6)
    assert np.allclose(
        bear.points * (720, 480), np.stack([360 + step * times, 240 + 0 * times], 1), atol=1e-2
    )
    assert np.allclose(
        fox.points * (720, 480), np.stack([360 + 0 * times, 240 - step * times], 1), atol=1e-2
    )
    assert bear.visible.all() and clip.video is not None


def test_what_is_behind_the_camera_is_not_seen() -> None:
    track = project(
        np.array([[-900.0, 0, 0], [0, 0, 0], [0, 900, 0]]), parse(-800), 1060.606, (720, 480)
    )
    assert track.visible.tolist() == [False, True, False]
    assert np.isfinite(track.points).all()


def parse(x: float) -> np.ndarray:
    camera = np.eye(4)
    camera[3, 0] = x
    return camera


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("CharacterInfo.json", {"CharacterInfo": []}, "character 4"),
        ("Hemi12_transforms.json", {}, "C_01_35mm"),
        (
            "Hemi12_transforms.json",
            {"C_01_35mm": "[0 0 0 0] [0 0 0 0] [0 0 0 0] [0 0 0 1]"},
            "C_01",
        ),
        ("480_720/HDRI/location_data.json", [], "loc2"),
        ("480_720/HDRI/location_data.json", [{"name": "loc2"}], "loc2"),
    ],
)
def test_a_damaged_360motion_is_named(
    motion360: Path, file: str, content: object, said: str
) -> None:
    (motion360 / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=said):
        read_all("360motion", motion360)


def test_missing_poses_and_another_size_are_named(motion360: Path) -> None:
    (take,) = motion360.glob("480_720/HDRI/*/*.json")
    whole = json.loads(take.read_text())
    take.write_text(json.dumps({**whole, "3": whole["3"][:1]}))
    with pytest.raises(ValueError, match="every object at every frame"):
        read_all("360motion", motion360)
    take.write_text(json.dumps(whole))
    (video,) = take.parent.glob("videos/*.mp4")
    write_video(video, torch.zeros(6, 64, 64, 3, dtype=torch.uint8), 30)
    with pytest.raises(ValueError, match="64x64"):
        read_all("360motion", motion360)


def test_another_folder_is_no_set(tmp_path: Path) -> None:
    for name in ("360motion", "dreamvideo-omni"):
        with pytest.raises(ValueError, match="expected"):
            list(readers(name, tmp_path))
    with pytest.raises(ValueError, match="'panda'"):
        readers("panda", tmp_path)


@pytest.fixture
def omni(tmp_path: Path) -> Path:
    """A case of two objects: one with a picture, a box and a track; one with a box alone."""
    folder = tmp_path / "7"
    (folder / "tracks").mkdir(parents=True)
    (folder / "reference_images").mkdir()
    Image.new("RGB", (20, 16), "blue").save(
        folder / "reference_images" / "ref_0_toy_dog_frame_3.png"
    )
    points = np.zeros((1, 49, 3, 2), np.float32)
    points[0, :, 0] = (100, 50)
    points[0, :, 1] = np.stack([np.linspace(300, 700, 49), np.full(49, 200)], 1)
    points[0, :, 2] = (800, 470)
    seen = np.ones((1, 49, 3), bool)
    seen[0, 40:, 1] = False
    np.save(folder / "tracks" / "pred_tracks.npy", points)
    np.save(folder / "tracks" / "visibility.npy", seen)
    boxes = [
        {"bbox": [280, 150, 420, 260], "obj_id": "0"},
        {"bbox": [0, 0, 400, 240], "obj_id": "1"},
    ]
    case = {
        "caption": "a toy dog runs",
        "width": 832,
        "height": 480,
        "paths": {
            "tracks": {"tracks": "tracks/pred_tracks.npy", "visibility": "tracks/visibility.npy"},
            "ref_imgs": [{"obj_id": "0", "path": "reference_images/ref_0_toy_dog_frame_3.png"}],
        },
        "frames_info": [{"frame_idx": t, "bboxes": boxes} for t in range(49)],
        "case_id": "7",
    }
    (folder / "metadata.json").write_text(json.dumps(case))
    return tmp_path


def test_dreamvideo_omni(omni: Path) -> None:
    (clip,) = read_all("dreamvideo-omni", omni)
    record = parse_record(json_bytes(clip.record.to_dict()))
    dog, other = record.entities
    assert (record.caption, record.width, record.frames) == ("a toy dog runs", 832, 49)
    assert (dog.word, other.word, clip.key) == ("toy dog", "", "case-7")
    # Both boxes hold the second track's first point; the smaller is the dog's.
    (track,) = dog.tracks
    assert np.allclose(track.points[0], (300 / 832, 200 / 480), atol=1e-6)
    assert track.visible.sum() == 40
    (corner,) = other.tracks
    assert np.allclose(corner.points[0], (100 / 832, 50 / 480), atol=1e-6)
    assert set(clip.pictures) == {"e0.0"} and clip.video is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"paths": []}, "paths"),
        ({"paths": {"tracks": {"tracks": "../../../etc/passwd"}}}, "within"),
        ({"paths": {"ref_imgs": [{"path": "/etc/passwd"}]}}, "within"),
        ({"paths": {"tracks": {"tracks": "metadata.json"}}}, "cannot be read"),
        ({"frames_info": [{"bboxes": [{"bbox": [1, 2, 3], "obj_id": 0}]}]}, "bbox"),
        ({"frames_info": [{"frame_idx": 10**9}]}, "frame_idx"),
        ({"obj_track_idx": [7]}, "obj_track_idx"),
        ({"width": 0}, "width"),
        ({"caption": 3}, "caption"),
    ],
)
def test_a_damaged_case_is_named(omni: Path, changes: dict[str, object], said: str) -> None:
    file = omni / "7" / "metadata.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(ValueError, match=said):
        read_all("dreamvideo-omni", omni)


def test_pickled_arrays_are_refused(omni: Path) -> None:
    np.save(omni / "7" / "tracks" / "pred_tracks.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match="pred_tracks.npy"):
        read_all("dreamvideo-omni", omni)


def test_public_sets_become_ours_and_are_not_written_twice(
    motion360: Path, omni: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both fixtures lie in one folder, whose layouts do not disturb one another."""
    for name, pictures in (("360motion", ["e0.0", "e1.0"]), ("dreamvideo-omni", ["e0.0"])):
        output = tmp_path / "ours" / name
        for said in ("1 clips written, 0 there", "0 clips written, 1 there"):
            assert main(["clips", "convert", name, str(omni), "--output", str(output)]) == 0
            assert said in capsys.readouterr().out
        clips = ClipSet(output)
        assert len(clips) == 1
        shown = [clips.picture(0, picture).rgb.shape for picture in pictures]
        assert shown == [(3, 16, 20)] * len(pictures)
        if name == "360motion":
            assert clips.frames(0).shape == (6, 480, 720, 3)
        else:
            with pytest.raises(ValueError, match="case-7 has no mp4"):
                clips.frames(0)
