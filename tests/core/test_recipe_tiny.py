"""The bundled model's recipe on clips in shards."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_training import SMALL_TRAINING
from torch import Tensor

from tora2.backbones import backbone_of
from tora2.cli import main
from tora2.data.clipset import ClipSet
from tora2.data.converters.spritebind import readers
from tora2.data.record import parse_record
from tora2.data.spritebind import Clip, SpriteBind, SpriteBindConfig
from tora2.data.spritebind.encoding import encode_clips
from tora2.data.spritebind.recorded import RecordedSprites, recorded_clip
from tora2.data.spritebind.vocabulary import make_tokenizer
from tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from tora2.training.distributed import World
from tora2.training.loop import Loop
from tora2.training.objectives.denoising import Denoising, DenoisingSettings, Prepared
from tora2.training.recipes.tiny import TransformerShape, make_transformer, run

CLIPS = 8
SIZES = SpriteBindConfig(size=32, frames=5, picture=32, sigma=3.0)


def written(folder: Path, *options: str) -> Path:
    (folder / "sizes.yaml").write_text(SMALL_TRAINING.format(output=folder / "unused"))
    output = str(folder / "clips")
    sizes = str(folder / "sizes.yaml")
    command = ["clips", "convert", "spritebind", "--output", output, "--clips", str(CLIPS)]
    assert main([*command, "--config", sizes, *options]) == 0
    return folder / "clips"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("lossless"), "--lossless")


def configuration(folder: Path, name: str, clips: Path | None = None) -> Path:
    text = SMALL_TRAINING.format(output=folder / name)
    if clips is not None:
        text += f"clips: {clips}\n"
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_clips_in_shards_are_those_that_were_drawn(shards: Path) -> None:
    drawn, read = SpriteBind(SIZES, 0, "train"), RecordedSprites(shards, SIZES)
    assert len(read) == CLIPS
    for index in range(CLIPS):
        mine, theirs = read[index], drawn[index]
        assert (mine.caption, mine.words) == (theirs.caption, theirs.words)
        assert torch.equal(mine.frames, theirs.frames)
        assert torch.equal(mine.region, theirs.region)
        for one, other in zip(mine.pictures, theirs.pictures, strict=True):
            assert torch.equal(one, other)
        order = theirs.tracks.entity.argsort()
        assert torch.equal(mine.tracks.entity, theirs.tracks.entity[order])
        assert torch.equal(mine.tracks.visible, theirs.tracks.visible[order])
        assert torch.allclose(mine.tracks.points, theirs.tracks.points[order], atol=1e-4)
    assert torch.equal(read[CLIPS].frames, read[0].frames)


def test_shards_are_of_whole_clips(tmp_path: Path) -> None:
    config = tmp_path / "windows.yaml"
    made = SMALL_TRAINING.replace("frames: 5", "frames: 9, window: 5")
    config.write_text(made.format(output=tmp_path / "unused"))
    command = ["clips", "convert", "spritebind", "--output", str(tmp_path / "clips")]
    assert main([*command, "--clips", "1", "--config", str(config)]) == 0
    assert ClipSet(tmp_path / "clips").record(0).frames == 9


def test_h264_changes_the_frames_alone(tmp_path: Path) -> None:
    drawn, read = SpriteBind(SIZES, 0, "train")[0], RecordedSprites(written(tmp_path), SIZES)[0]
    assert torch.equal(read.region, drawn.region)
    assert 0 < (read.frames.float() - drawn.frames.float()).abs().mean() < 8


def in_memory() -> list[Clip]:
    """The same clips, which have never been in a file."""
    clips = []
    for _, read in readers(SpriteBind(SIZES, 0, "train"), CLIPS):
        made = read()
        assert isinstance(made.video, torch.Tensor)
        pictures = {name: p for name, p in made.pictures.items() if not isinstance(p, Path)}
        record = parse_record(made.record.to_dict())
        clips.append(recorded_clip(record, made.video, pictures, SIZES))
    return clips


class _Stopped(Exception):
    pass


def stopped_after(steps: int, work: Callable[[], object]) -> None:
    train_step = Loop.train_step

    def stopping(self: Loop) -> dict[str, float]:
        if self.step == steps:
            raise _Stopped
        return train_step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "train_step", stopping)
        with pytest.raises(_Stopped):
            work()


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_training_from_shards_is_training_from_memory(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From shards, stopped in the middle and gone on: the very weights of an undisturbed run."""
    path = configuration(tmp_path, "shards", shards)
    stopped_after(3, lambda: run(path))
    run(path)

    class Memory(list[Clip]):
        config = SIZES

        def __getitem__(self, index: int) -> Clip:  # type: ignore[override]
            return super().__getitem__(index % len(self))

    clips = Memory(in_memory())
    with monkeypatch.context() as patch:
        module = import_module("tora2.training.recipes.tiny.run")
        patch.setattr(module, "training_clips", lambda config: (clips, CLIPS))
        run(configuration(tmp_path, "memory"))
    drawn = configuration(tmp_path, "drawn")
    drawn.write_text(drawn.read_text() + f"autoencoder_from: {tmp_path / 'shards' / 'vae'}\n")
    run(drawn)

    assert losses(tmp_path / "shards") == losses(tmp_path / "memory")
    [ours, theirs] = [
        load_file(next((tmp_path / name / "checkpoints/step-000000004").glob("*.safetensors")))
        for name in ("shards", "memory")
    ]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    # Records have six decimals, of which flow pictures may show one level.
    assert losses(tmp_path / "shards") == pytest.approx(losses(tmp_path / "drawn"), rel=1e-3)


def test_other_clips_are_refused_with_a_sentence(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = ClipSet(shards)
    record, frames = clips.record(0), clips.frames(0)
    pictures = {
        name: clips.picture(0, name) for entity in record.entities for name in entity.references
    }
    first = record.entities[0]
    track = replace(first.tracks[0]) if first.tracks else None
    for changed, says in (
        (replace(first, word="dog"), "its word 'dog' is unknown, expected one of"),
        (replace(first, masks={}), "masks at 0 frames, expected one at every of 5"),
        (replace(first, references=()), "has 0 pictures and"),
        (replace(first, tracks=(track, track) if track else ()), "2 tracks"),
    ):
        if changed.tracks == () and says == "2 tracks":
            continue
        other = replace(record, entities=(changed, *record.entities[1:]))
        with pytest.raises(ValueError, match=says):
            recorded_clip(other, frames, pictures, SIZES)
    with pytest.raises(ValueError, match=r"its frames are \(4, 32, 32, 3\), expected \(5, 32"):
        recorded_clip(record, frames[:4], pictures, SIZES)
    larger = replace(SIZES, picture=64)
    with pytest.raises(ValueError, match="expected 64 pixels square"):
        recorded_clip(record, frames, pictures, larger)

    assert main(["train", str(configuration(tmp_path, "none", tmp_path / "nothing"))]) == 2
    assert "does not exist, expected the index of a set of clips" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_damaged_clip_is_replaced_and_named(
    shards: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ClipSet.record

    def damaged(self: ClipSet, index: int) -> object:
        if index == 2:
            raise ValueError("clip 2 is damaged")
        return read(self, index)

    monkeypatch.setattr(ClipSet, "record", damaged)
    clips = RecordedSprites(shards, SIZES)
    others = [clips[index].frames for index in range(CLIPS) if index != 2]
    replaced = clips[2].frames
    assert any(torch.equal(replaced, frames) for frames in others)
    assert "clip 2 is damaged" in caplog.text
    with pytest.raises(ValueError, match="expected at most 0 %"):
        RecordedSprites(shards, SIZES, damaged=0.0)[2]


def test_tokens_begin_by_looking_at_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what the fuser says of a token's own place is lost in the mean of all tokens."""
    transformer = make_transformer(TransformerShape(layers=2)).eval()
    text, video = 8, (2, 6, 6)
    tokens, attended = math.prod(video), []
    sdpa = torch.nn.functional.scaled_dot_product_attention

    def noted(q: Tensor, k: Tensor, v: Tensor, *args: Any, **options: Any) -> Tensor:
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        attended.append(weights.diagonal(dim1=-2, dim2=-1)[..., text:].mean((0, 2)))
        return sdpa(q, k, v, *args, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(
        2, 16, *(s * p for s, p in zip(video, (1, 2, 2), strict=True)), generator=generator
    )
    context = torch.randn(2, text, 128, generator=generator)
    with torch.no_grad():
        backbone_of(transformer).predict(
            transformer, latents, torch.tensor([900, 300]), context, None
        )
    assert len(attended) == 2
    for first, *others in torch.stack(attended).tolist():
        assert first > 0.4
        assert all(other < 5 / tokens for other in others)


def test_a_shift_draws_noisier_steps_more_often() -> None:
    transformer = make_transformer(TransformerShape(layers=1))
    clean = torch.zeros(4000, 1)

    def drawn(shift: float) -> Tensor:
        settings = DenoisingSettings(timestep_shift=shift)
        objective = Denoising(transformer, lambda *_: None, settings, World(torch.device("cpu")), 1)
        return objective._drawn(clean, torch.Generator().manual_seed(0))[0]

    even = torch.randint(1000, (4000,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn(1.0), even)
    assert 0 <= drawn(3.0).min() and drawn(3.0).max() <= 999
    # The integral of 3u / (1 + 2u) is 0.676.
    assert drawn(3.0).double().mean() == pytest.approx(676, abs=12)


@pytest.mark.parametrize(
    ("seed", "other", "on_the_way"), [(6, False, 0), (0, False, 1), (1, True, 0), (3, True, 1)]
)
def test_told_clips_are_noised_from_the_guess_and_are_still_what_is_to_be_predicted(
    seed: int, other: bool, on_the_way: int
) -> None:
    """A model that guesses nonsense while nothing is learned, and then knows the clip.

    The generator of a seed draws whether the guess is from other noise, and whether there is one
    on the way.
    """
    transformer = make_transformer(TransformerShape(layers=1))
    backbone = backbone_of(transformer)
    generator = torch.Generator().manual_seed(0)
    clean, nonsense = torch.randn(2, 3, 16, 2, 4, 4, generator=generator)
    told = torch.tensor([True, False, True])
    prepared = Prepared(clean, torch.zeros(3, 1, 128), None, told=told)
    world = World(torch.device("cpu"))
    objective = Denoising(
        transformer, lambda *_: prepared, DenoisingSettings(own_guesses=1.0), world, 1
    )
    seen: list[tuple[Tensor, Tensor]] = []

    def knows(clips: Prepared, noisy: Tensor, timestep: Tensor) -> Tensor:
        seen.append((noisy, timestep))
        signal, noise, _, _ = objective._shares(timestep)
        at = clean if torch.is_grad_enabled() else nonsense
        return (signal * noisy - at) / noise

    objective._predicted = knows  # type: ignore[method-assign]
    objective._drawn = lambda *_: (torch.tensor([700, 700, 20]), noise)  # type: ignore[method-assign]
    noise = torch.randn(clean.shape, generator=generator)
    loss, _ = objective(None, torch.Generator().manual_seed(seed))
    (first, last), *between, (noisy, timestep) = seen
    assert len(between) == on_the_way
    assert all(((at >= timestep) & (at < 999)).all() for _, at in between)
    assert torch.equal(first, noise) != other and last.tolist() == [999] * 3
    for clip, shown in enumerate((nonsense, clean, clean)):  # the third is hardly noised
        expected, _ = backbone.noised(shown, noise, timestep)
        assert torch.allclose(noisy[clip], expected[clip], atol=1e-4)
    assert loss < 1e-8


def test_guesses_of_clips_that_may_not_be_told_whole_are_refused() -> None:
    transformer = make_transformer(TransformerShape(layers=1))
    prepared = Prepared(torch.zeros(1, 16, 2, 4, 4), torch.zeros(1, 1, 128), None)
    world = World(torch.device("cpu"))
    settings = DenoisingSettings(own_guesses=1.0)
    objective = Denoising(transformer, lambda *_: prepared, settings, world, 1)
    with pytest.raises(ValueError, match="'own_guesses' is 1.0, .*expected 0"):
        objective(None, torch.Generator().manual_seed(0))


def test_clips_are_told_whose_entities_all_have_a_picture_and_a_track() -> None:
    clips = SpriteBind(replace(SIZES, untold=0.5), 0)
    vae = PatchAutoencoder(PatchAutoencoderConfig(width=8, layers=1))
    drawn = [
        (clip, torch.zeros(5, 3, 32, 32, dtype=torch.uint8))
        for clip in map(clips.__getitem__, range(24))
    ]
    batch = encode_clips(drawn, vae, make_tokenizer(24), 24)
    all_told = [len(clip.tracks.entity) == len(clip.sprites) for clip, _ in drawn]
    assert batch.told.tolist() == all_told and 0 < sum(all_told) < 24
    nothing = torch.zeros_like(batch.track_mask)
    bare = replace(
        batch, words=nothing.long() - 1, picture_mask=nothing[..., None], track_mask=nothing
    )
    assert not bare.told.any()
    assert not replace(batch, picture_mask=nothing[..., None]).told.any()
