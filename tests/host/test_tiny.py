"""The bundled model's parts in the host are the library's, and a scene is bound alike in both."""

from pathlib import Path
from typing import Any

import builders
import pytest
import torch
from test_equality import error, host_velocity

from tora2.backbone import predict
from tora2.latents import decode_video, encode_video
from tora2.scene import parse_scene
from tora2.text import encode_words, token_ids
from tora2.trajectory import sample


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tiny")
    made = builders.random_tiny(folder)
    made.folder = folder
    return made


@pytest.fixture(scope="module")
def loaded(pack: builders.Pack, pipeline: Any) -> Any:
    return pack("nodes.host.tiny").load(pipeline.folder)


def test_text(pipeline: Any, loaded: Any) -> None:
    clip = loaded[1]
    for prompt in ("a circle and a star on grass", "", "a, " * 40, "a zebra"):
        hidden = clip.encode_from_tokens(clip.tokenize(prompt))
        expected = pipeline.encode_text(prompt)
        assert hidden.shape == expected.shape == (1, 24, 128)
        assert error(hidden, expected) < 1e-4


def test_words(pack: builders.Pack, pipeline: Any, loaded: Any) -> None:
    for word in ("star", "a star with a circle and one star", "(star)"):
        got = pack("nodes.host.words").encode_word(loaded[1], word)
        ids = token_ids(pipeline.tokenizer, [word], 24)
        hidden, mask = encode_words(pipeline.text_encoder, ids)
        assert error(got, hidden[0, mask[0]]) < 1e-4


def test_autoencoder(pack: builders.Pack, pipeline: Any, loaded: Any) -> None:
    vae, module = loaded[2], pack("nodes.host.video")
    frames = torch.rand(17, 96, 96, 3, generator=torch.Generator().manual_seed(0))
    expected = encode_video(pipeline.vae, frames.permute(3, 0, 1, 2)[None] * 2 - 1)
    latents = module.scale(module.encode(vae, frames), 192)
    assert error(latents, expected) < 1e-4
    decoded = vae.decode(latents / 1.15258426)[0]
    again = (decode_video(pipeline.vae, latents)[0].permute(1, 2, 3, 0) + 1) / 2
    assert decoded.shape == (17, 96, 96, 3) and error(decoded, again.clamp(0, 1)) < 1e-4


def test_model(pipeline: Any, loaded: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 16, 5, 12, 12, generator=generator)
    context = pipeline.encode_text("a star")
    expected = predict(pipeline.transformer, latents, torch.tensor(700), context)
    assert error(host_velocity(loaded[0], latents, 700, context), expected) < 1e-4


def scene(folder: Path) -> Any:
    from PIL import Image

    for name, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        Image.new("RGB", (40, 40), color).save(folder / f"{name}.png")
    return parse_scene(
        {
            "version": 1,
            "prompt": "a circle and a star on grass",
            "entities": [
                {"id": "circle", "word": "circle", "images": ["red.png"]},
                {"id": "star", "word": "star", "images": ["blue.png"], "strength": 0.8},
            ],
            "trajectories": {
                "version": 1,
                "width": 96,
                "height": 96,
                "frames": 17,
                "entities": [{"id": "star"}, {"id": "circle"}],
                "tracks": [
                    {
                        "id": "a",
                        "entity": "star",
                        "points": [{"x": 0.1, "y": 0.3}, {"x": 0.8, "y": 0.2}],
                    },
                    {"id": "b", "entity": "circle", "points": [{"x": 0.7, "y": 0.8}]},
                    {"id": "c", "points": [{"x": 0.2, "y": 0.9}, {"x": 0.4, "y": 0.6}]},
                ],
            },
        },
        folder,
    )


def test_bind_is_the_pipeline_s_conditioning(
    pack: builders.Pack, pipeline: Any, loaded: Any, tmp_path: Path
) -> None:
    model, clip, vae, adapter, encoders, _ = loaded
    given = scene(tmp_path)
    document = pack("tora2.trajectory").parse(
        pack("tora2.trajectory.document").to_dict(given.trajectories)
    )
    expected = pipeline.condition(given, sample(given.trajectories))
    entity, pictures = pack("tora2.encoders.entity"), pack("tora2.encoders.pictures")
    entities = [
        entity.EncodedEntity(
            word=one.word,
            pictures=tuple(
                encoders.joint.encode([pictures.on_white(pictures.load_picture(one.images[0]))])
            ),
            strength=one.strength,
        )
        for one in given.entities
    ]
    node = pack("nodes.bind")
    bound, report, flow = node.bind(adapter, entities, document, vae, clip)
    assert bound.size == (96, 96, 17) and flow.shape == (17, 96, 96, 3)
    assert report.splitlines() == [
        "circle: 1 picture, word 'circle', 1 track (b), strength 1",
        "star: 1 picture, word 'star', 1 track (a), strength 0.8",
        "free: 1 track (c)",
    ]
    got = bound.conditioning
    for a, b in zip(got.features, expected.features, strict=True):
        assert error(a, b) < 1e-4
    for layer, (keys, values) in expected.keys_values.items():
        assert error(got.keys_values[layer][0], keys) < 1e-4
        assert error(got.keys_values[layer][1], values) < 1e-4
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(2, 16, 5, 12, 12, generator=generator)
    context = torch.cat([pipeline.encode_text(""), pipeline.encode_text(given.prompt)])
    injection = pack("nodes.host.injection")
    patched = injection.inject(model, bound, injection.Window(), injection.Window())
    velocity = predict(pipeline.transformer, latents, torch.tensor(500), context, expected)
    plain = predict(pipeline.transformer, latents, torch.tensor(500), context)
    assert error(host_velocity(patched, latents, 500, context), velocity) < 1e-4
    assert error(plain, velocity) > 1e-3
