"""Encoded clips: the same conditions as at inference, damaged caches named, batches collated."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_sets import moving, sprites
from safetensors.torch import load, save
from small import cogvideox_folder
from torch import Tensor

from tora2.conditioning import Tora2Conditioning
from tora2.data import encoding
from tora2.data.clipset import ClipSet
from tora2.data.encoded import EncodedBatch, EncodedClips, collate
from tora2.data.precompute import PrecomputeConfig, precompute
from tora2.data.shards import read_member, scan, write_index, write_tar
from tora2.data.summary import tracks_of
from tora2.encoders.entity import Encoders
from tora2.encoders.face import FaceEncoder
from tora2.encoders.pictures import cover
from tora2.encoders.protocols import Box, Face
from tora2.latents import encode_video
from tora2.models.config import Tora2Config
from tora2.pipeline import Tora2Pipeline
from tora2.scene import Scene, SceneEntity
from tora2.trajectory import Tracks, parse


def config(folder: Path, **changes: object) -> PrecomputeConfig:
    made = PrecomputeConfig(clips=str(folder), augmentations=3, device="cpu", storage="float32")
    return replace(made, **changes)


@pytest.fixture(scope="module")
def bundled() -> Tora2Pipeline:
    return Tora2Pipeline.from_pretrained("tiny", device="cpu")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = sprites(tmp_path_factory.mktemp("drawn"), 6)
    precompute(config(folder))
    return folder


def scene_of(clips: ClipSet, index: int, folder: Path) -> Scene:
    """A scene with the pictures and words of a clip; its tracks are told apart by their owners."""
    record = clips.record(index)
    row = clips.rows[index]
    entities = []
    for entity in record.entities:
        files = [folder / f"{name}.png" for name in entity.references]
        for file in files:
            file.write_bytes(read_member(clips.folder / "shards", row, file.name))
        entities.append(SceneEntity(entity.id, entity.word, entity.kind, tuple(files)))
    tracks = [
        {"id": f"t{i}{j}", "entity": entity.id, "points": [{"x": 0.5, "y": 0.5}]}
        for i, entity in enumerate(record.entities)
        for j in range(len(entity.tracks))
    ]
    document = {"version": 1, "width": 96, "height": 96, "frames": 17, "tracks": tracks}
    named = [{"id": entity.id} for entity in record.entities]
    return Scene(record.caption, parse({**document, "entities": named}), tuple(entities))


def same(one: Tora2Conditioning, other: Tora2Conditioning, tolerance: float) -> None:
    assert one.features is not None and other.features is not None
    assert one.keys_values is not None and other.keys_values is not None
    pairs = list(zip(one.features, other.features, strict=True))
    for layer, both in one.keys_values.items():
        pairs += zip(both, other.keys_values[layer], strict=True)
    assert len(pairs) > 6
    for a, b in pairs:
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * (1 + b.abs().max())


def conditioned(pipeline: Tora2Pipeline, batch: EncodedBatch, tracks: Tracks) -> Tora2Conditioning:
    latent = pipeline.motion_latent(tracks)
    return Tora2Conditioning.from_batch(pipeline.adapter, latent, batch.entities())


@pytest.mark.parametrize("index", range(3))
def test_conditions_are_those_of_inference(
    drawn: Path, bundled: Tora2Pipeline, tmp_path: Path, index: int
) -> None:
    encoded = EncodedClips(drawn)
    clips, batch = encoded.clips, encoded.load(index)
    scene, tracks = scene_of(clips, index, tmp_path), tracks_of(clips.record(index))
    expected = bundled.condition(scene, tracks)
    assert expected is not None
    same(conditioned(bundled, batch, tracks), expected, 1e-6)
    assert torch.equal(batch.context, bundled.encode_text(clips.record(index).caption))
    video = clips.frames(index).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    assert torch.equal(batch.latents(), encode_video(bundled.vae, video))
    assert torch.equal(encoded.empty[None], bundled.encode_text(""))


@pytest.mark.parametrize(("storage", "tolerance"), [("bfloat16", 2e-2), ("float16", 2e-3)])
def test_half_storage_changes_conditions_by_its_precision(
    drawn: Path, bundled: Tora2Pipeline, tmp_path: Path, storage: str, tolerance: float
) -> None:
    folder = Path(shutil.copytree(drawn, tmp_path / "set"))
    shutil.rmtree(folder / "cache")
    precompute(config(folder, storage=storage))
    tracks = tracks_of(ClipSet(folder).record(0))
    exact, half = (EncodedClips(place).load(0) for place in (drawn, folder))
    same(conditioned(bundled, half, tracks), conditioned(bundled, exact, tracks), tolerance)
    assert half.semantic.dtype == torch.float32 and torch.equal(half.points, exact.points)


def test_a_clip_that_is_resized_has_its_tracks_resized_alike(
    tmp_path: Path, bundled: Tora2Pipeline
) -> None:
    """192x144 at 16 a second becomes the middle of 128x96, every second frame."""
    moving(tmp_path, 192, 144, 33, 16.0)
    precompute(config(tmp_path))
    encoded = EncodedClips(tmp_path)
    batch, record = encoded.load(0), encoded.clips.record(0)
    fractions = np.stack([track.points[::2] for track in record.entities[1].tracks])
    points = torch.from_numpy(fractions.astype(float) * (128, 96) - (16, 0)).float()
    tracks = Tracks(points, torch.ones(2, 17, dtype=torch.bool), torch.tensor([1, 1]), 96, 96, 17)
    paths = batch.points[0, 1] * 96
    assert torch.allclose(paths, points, atol=1e-4)
    # The path starts at 2 % of the width, which is cut off, and comes into view.
    assert batch.visible[0, 1, 0].tolist() == (points[0, :, 0] >= 0).tolist()
    assert batch.track_mask.tolist() == [[[False, False], [True, True]]]
    assert batch.word_mask[0].any(-1).tolist() == [False, True]
    assert not batch.picture_mask.any()
    video = torch.stack(
        [cover(f.permute(2, 0, 1), (96, 96)) for f in encoded.clips.frames(0)[::2]], 1
    )
    expected = encode_video(bundled.vae, video[None].float() / 127.5 - 1)
    assert torch.equal(batch.latents(), expected)
    seen = replace(tracks, visible=batch.visible[0, 1])
    scene = Scene(
        record.caption,
        parse(
            {
                "version": 1,
                "width": 96,
                "height": 96,
                "frames": 17,
                "entities": [{"id": "e0"}],
                "tracks": [
                    {"id": f"t{i}", "entity": "e0", "points": [{"x": 0.5, "y": 0.5}]}
                    for i in range(2)
                ],
            }
        ),
        (SceneEntity("e0", "circle", "object"),),
    )
    told = bundled.condition(scene, replace(seen, entity=torch.tensor([0, 0])))
    mine = conditioned(bundled, batch, seen)
    assert told is not None and told.features is not None and mine.features is not None
    for a, b in zip(mine.features, told.features, strict=True):
        assert (a - b).abs().max() <= 1e-6 * (1 + b.abs().max())


def test_latents_are_drawn_from_the_posterior_as_the_autoencoder_does(tmp_path: Path) -> None:
    model = cogvideox_folder(tmp_path / "model")
    record = moving(tmp_path / "set", 64, 64, 9, 8.0)
    made = config(tmp_path / "set", model=str(model), frames=9, height=64, width=64, fps=8)
    precompute(made)
    encoded = EncodedClips(tmp_path / "set")
    batch = encoded.load(0)
    assert batch.logvar is not None and encoded.config.scaling == 0.7
    vae = encoding.ClipEncoder(made)._vae
    video = encoded.clips.frames(0).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    drawn = encode_video(vae, video, torch.Generator().manual_seed(4))
    noise = torch.randn(batch.mean.shape, generator=torch.Generator().manual_seed(4))
    assert torch.allclose(batch.latents(noise), drawn, atol=1e-6)
    assert torch.allclose(batch.latents(), encode_video(vae, video), atol=1e-7)
    assert batch.mean.shape == (1, 16, 3, 8, 8) and batch.context.shape[1] == 226
    assert record.frames == 9


class Semantic:
    key, dim = "semantic", 5

    def encode(self, square: Tensor) -> Tensor:
        return square.float().mean((1, 2))[:, None].expand(3, self.dim) / 255


class Prior:
    key, dim = "object", 7

    def encode(self, image: Tensor, box: Box) -> Tensor:
        return image.float().mean().expand(self.dim)


class Reader:
    """Sees one large face in every picture."""

    key, dim = "face", 4

    def detect(self, image: Tensor) -> list[Face]:
        height, width = image.shape[1:]
        points = tuple((x * width, y * height) for x, y in [(0.3, 0.3), (0.7, 0.3)] * 2)
        return [Face((0.0, 0.0, float(width), float(height)), 0.9, (*points, (0.5, 0.5)))]

    def embed(self, image: Tensor, face: Face) -> Tensor:
        return torch.full((self.dim,), 3.0)


def test_people_take_the_face_branch(
    tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(drawn, tmp_path / "set"))
    shutil.rmtree(folder / "cache")
    reader = Reader()
    stand_ins = Encoders(Semantic(), FaceEncoder(reader, reader), Prior())
    monkeypatch.setattr(encoding, "load_encoders", lambda *_: stand_ins)
    record = ClipSet(folder).record(0)
    human = replace(record.entities[0], kind="human")
    people = replace(record, entities=(human, *record.entities[1:]))
    monkeypatch.setattr(ClipSet, "record", lambda *_: people if _[1] == 0 else record)
    made = config(folder, encoders=encoding.EncoderFiles(semantic="x"), tolerance=1.0)
    encoder = encoding.ClipEncoder(made)
    sizes = encoder.cache
    assert (sizes.semantic_tokens, sizes.semantic_dim, sizes.face_dim, sizes.object_dim) == (
        *(3, 5),
        *(4, 7),
    )
    tensors = encoder.encode(ClipSet(folder), 0)
    mine = tensors["picture_entity"] == 0
    assert tensors["is_face"][mine].all() and not tensors["is_face"][~mine].any()
    assert (tensors["face"][mine] == 3).all() and not tensors["object"][mine].any()
    assert not tensors["face"][~mine].any() and (tensors["object"][~mine] > 0).all()


def test_variations_are_drawn_by_the_generator_and_the_first_is_the_picture(drawn: Path) -> None:
    encoded = EncodedClips(drawn)
    plain = encoded.load(0)
    stored = encoded.clips.cached(0)["semantic"]
    assert torch.equal(plain.semantic[0][plain.picture_mask[0]], stored[:, 0])
    assert len({tuple(variant.flatten().tolist()) for variant in stored[0]}) == 3
    drawn_twice = [encoded.load(0, torch.Generator().manual_seed(5)).semantic for _ in range(2)]
    assert torch.equal(*drawn_twice)
    seen = set()
    for seed in range(20):
        batch = encoded.load(0, torch.Generator().manual_seed(seed))
        shown = batch.semantic[0][batch.picture_mask[0]][0]
        (number,) = (shown == stored[0]).flatten(1).all(1).nonzero().flatten().tolist()
        seen.add(number)
    assert seen == {0, 1, 2}


def test_batches_are_padded_without_a_change(drawn: Path, bundled: Tora2Pipeline) -> None:
    encoded = EncodedClips(drawn)
    clips = [encoded.load(row) for row in range(len(encoded))]
    batch = encoded.collate(clips)
    assert len(batch) == 6 and len({clip.words.shape for clip in clips}) > 1
    again = collate([batch[:2], batch[torch.tensor([2, 3, 4, 5])]])
    assert torch.equal(again.semantic, batch.semantic)
    for row, clip in enumerate(clips):
        count, pictures = clip.picture_mask.shape[1:]
        assert torch.equal(batch.semantic[row, :count, :pictures], clip.semantic[0])
        assert int(batch.picture_mask[row].sum()) == int(clip.picture_mask.sum())
        assert int(batch.track_mask[row].sum()) == int(clip.track_mask.sum())
    latent = torch.cat(
        [bundled.motion_latent(tracks_of(encoded.clips.record(row))) for row in range(6)]
    )
    made = Tora2Conditioning.from_batch(bundled.adapter, latent, batch.entities())
    assert made.features is not None
    for row, clip in enumerate(clips):
        alone = Tora2Conditioning.from_batch(
            bundled.adapter, latent[row : row + 1], clip.entities()
        )
        assert alone.features is not None
        for a, b in zip(made.features, alone.features, strict=True):
            assert torch.allclose(a.unflatten(0, (6, -1))[row], b, atol=1e-5)


def test_a_batch_moves_and_only_its_embeddings_change_type(drawn: Path) -> None:
    batch = EncodedClips(drawn).load(0).to("cpu", torch.bfloat16)
    assert batch.semantic.dtype == batch.context.dtype == torch.bfloat16
    assert batch.entities().strength.dtype == torch.bfloat16
    assert batch.mean.dtype == batch.points.dtype == torch.float32
    assert batch.visible.dtype == torch.bool and batch.logvar is None
    with pytest.raises(ValueError, match="dense flow"):
        batch.flow_latents()


def changed(folder: Path, change: dict[str, Tensor | None], name: str = "") -> None:
    """Write a set's first cached clip again with some tensors changed."""
    (shard, *_) = sorted((folder / "cache" / "shards").iterdir())
    rows = list(scan(shard))
    members = []
    for number, row in enumerate(rows):
        content = read_member(shard.parent, row, "safetensors")
        if number == 0:
            tensors = {**load(content), **change}
            content = save({k: v for k, v in tensors.items() if v is not None})
            content = content[:-7] if name == "cut" else content
        members.append((f"{row.key}.safetensors", content))
    write_tar(shard, members)
    write_index(shard.parent, folder / "cache" / "index.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": None}, "lack 'mean'"),
        ({"extra": torch.zeros(1)}, "unknown 'extra'"),
        ({"mean": torch.zeros(16, 5, 12, 13)}, "mean is torch.float32 .16, 5, 12, 13"),
        ({"mean": torch.zeros(16, 5, 12, 12).half()}, "mean is torch.float16"),
        ({"context": torch.full((24, 128), torch.nan)}, "context has values that are not finite"),
        ({"points": torch.zeros(1, 17, 3)}, "points is"),
        ({"visible": torch.zeros(9, 17, dtype=torch.bool)}, "visible is"),
        ({"words": torch.zeros(65, 2, 128)}, "words is"),
        ({"track_entity": torch.tensor([7])}, "track_entity is"),
        ({"picture_entity": torch.tensor([-1])}, "picture_entity is"),
    ],
)
def test_a_damaged_cache_is_one_sentence_that_names_the_clip(
    drawn: Path, tmp_path: Path, change: dict[str, Tensor | None], said: str
) -> None:
    folder = Path(shutil.copytree(drawn, tmp_path / "set"))
    changed(folder, change)
    encoded = EncodedClips(folder)
    with pytest.raises(ValueError, match=f"clip train-3-00000000: .*{said}"):
        encoded.load(0)
    encoded.load(1)


def test_tensors_that_are_cut_off_are_named(drawn: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(drawn, tmp_path / "set"))
    changed(folder, {}, "cut")
    with pytest.raises(ValueError, match="clip train-3-00000000: its tensors are damaged"):
        EncodedClips(folder).load(0)


def test_a_cache_of_another_geometry_or_for_another_adapter_is_refused(drawn: Path) -> None:
    encoded = EncodedClips(drawn)
    encoded.check(Tora2Config.preset("tiny"))
    encoded.config.require(frames=17, width=96)
    with pytest.raises(ValueError, match="frames 17, expected 49"):
        encoded.config.require(frames=49)
    with pytest.raises(ValueError, match="text_dim 128, expected 4096"):
        encoded.check(Tora2Config())


@pytest.mark.parametrize(
    ("content", "said"), [(b"{}", "has no key"), (b"[", "not JSON"), (b'{"frames": 0}', "frames")]
)
def test_a_damaged_description_is_named(
    drawn: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    folder = Path(shutil.copytree(drawn, tmp_path / "set"))
    (folder / "cache" / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"config.json.*{said}"):
        EncodedClips(folder)
    (folder / "cache" / "config.json").unlink()
    with pytest.raises(ValueError, match="run precompute first"):
        EncodedClips(folder)
