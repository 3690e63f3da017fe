"""The pipeline on a CogVideoX folder in diffusers' layout with Tora's parts, small and random."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small
import torch
from torch import Tensor

import tora2.pipeline as module
from tora2.pipeline import Tora2Pipeline
from tora2.scene import Flow, Sampling, Scene, Window
from tora2.trajectory import parse, sample
from tora2.trajectory.flow import flow_map, flow_rgb


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.cogvideox_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Tora2Pipeline:
    return Tora2Pipeline.from_pretrained(folder, adapter=folder / "tora.safetensors")


def scene(**changes: Any) -> Scene:
    document = parse(
        {
            "version": 1,
            "width": 48,
            "height": 32,
            "frames": 5,
            "tracks": [{"id": "a", "points": [{"x": 0.1, "y": 0.2}, {"x": 0.9, "y": 0.7}]}],
        }
    )
    settings = {"steps": 2, "seed": 3, **changes}
    return Scene("a circle", document, negative_prompt="star", sampling=Sampling(**settings))


def given_to_the_sampler(
    pipeline: Tora2Pipeline, one: Scene, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the denoising loop is handed."""
    seen: dict[str, Any] = {}

    def record(transformer: Any, scheduler: Any, noise: Tensor, *rest: Any, **options: Any) -> Any:
        seen.update(options, noise=noise, context=rest[0], negative=rest[1], conditioning=rest[2])
        return torch.zeros_like(noise)

    monkeypatch.setattr(module, "sample_latents", record)
    pipeline(one)
    return seen


def test_tora_on_a_cogvideox_folder_makes_a_video(pipeline: Tora2Pipeline) -> None:
    assert pipeline.adapter.capabilities == {"motion"}
    made = pipeline(scene())
    assert made.frames.shape == (5, 32, 48, 3) and bool(made.frames.isfinite().all())
    still = pipeline(scene(motion=Window(0.0)))
    assert not torch.equal(made.frames, still.frames)


def test_the_flow_is_drawn_before_the_noise_as_upstream_does(
    pipeline: Tora2Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = scene(flow=Flow("tora", "drawn"))
    drawn = given_to_the_sampler(pipeline, one, monkeypatch)
    generator = torch.Generator().manual_seed(3)
    tracks = sample(one.trajectories)
    picture = flow_rgb(flow_map(tracks, (32, 48), "tora")).transpose(0, 1)[None] / 127.5 - 1
    latent = 0.7 * pipeline.vae.encode(picture).latent_dist.sample(generator)
    expected = pipeline.adapter.motion_features(latent)
    for got, feature in zip(drawn["conditioning"].features, expected, strict=True):
        assert torch.allclose(got, feature, atol=1e-5)
    assert torch.equal(drawn["noise"], torch.randn(1, 16, 2, 4, 6, generator=generator))


def test_a_track_of_an_entity_that_is_not_there_is_refused(pipeline: Tora2Pipeline) -> None:
    """Also where a scene was put together in Python, whose parts nobody has checked."""
    path = {"id": "a", "entity": "cat", "points": [{"x": 0.1, "y": 0.2}]}
    size = {"version": 1, "width": 48, "height": 32, "frames": 5}
    document = parse({**size, "entities": [{"id": "cat"}], "tracks": [path]})
    with pytest.raises(ValueError, match="'a' belongs to entity 'cat', expected .*it has none"):
        pipeline(replace(scene(), trajectories=document))


def test_by_default_it_is_the_mean_and_a_seed_means_the_same_noise(
    pipeline: Tora2Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = given_to_the_sampler(pipeline, scene(), monkeypatch)
    again = given_to_the_sampler(pipeline, scene(seed=4), monkeypatch)
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(first["noise"], torch.randn(1, 16, 2, 4, 6, generator=generator))
    for one, other in zip(
        first["conditioning"].features, again["conditioning"].features, strict=True
    ):
        assert torch.equal(one, other)


def test_guidance_leads_away_from_text_or_from_zeros(
    pipeline: Tora2Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = given_to_the_sampler(pipeline, scene(), monkeypatch)
    zeros = given_to_the_sampler(pipeline, scene(unconditional="zeros"), monkeypatch)
    assert torch.equal(text["negative"], pipeline.encode_text("star"))
    assert not zeros["negative"].any() and zeros["negative"].shape == text["negative"].shape
    assert torch.equal(text["context"], zeros["context"])


def test_offloading_has_every_part_there_when_it_works_and_gone_after(
    pipeline: Tora2Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = pipeline(scene()).frames
    offloading = Tora2Pipeline.from_pretrained(
        folder, adapter=folder / "tora.safetensors", offload=True
    )
    # A second device is played by a name: parts are asked to go there, and say where they are.
    device = torch.device("cpu", 0)
    offloading.device = device
    names = ("transformer", "vae", "text_encoder", "adapter")
    place = dict.fromkeys(names, "cpu")
    for name in names:
        part = getattr(offloading, name)
        monkeypatch.setattr(part, "to", lambda to, n=name: place.update({n: to}))
        part.register_forward_pre_hook(lambda *_, n=name: seen.append((n, place[n])))
    seen: list[tuple[str, Any]] = []
    encode, decode = offloading.vae.encode, offloading.vae.decode
    for verb, method in (("encode", encode), ("decode", decode)):

        def recorded(*arguments: Any, do: Any = method, **options: Any) -> Any:
            seen.append(("vae", place["vae"]))
            return do(*arguments, **options)

        monkeypatch.setattr(offloading.vae, verb, recorded)
    assert torch.equal(offloading(scene()).frames, expected)
    assert {name for name, _ in seen} >= {"vae", "text_encoder"}
    assert all(where == device for _, where in seen)
    assert set(place.values()) == {"cpu"}
