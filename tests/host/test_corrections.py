"""Each correction of the native CogVideoX: needed, sufficient, and absent where not needed."""

import builders
import pytest
import torch
from test_equality import corrected, error, host_velocity, inputs

from tora2.backbone import predict

ROTARY = "diffusion_model._get_rotary_emb"
EMBED = "diffusion_model.patch_embed.forward"


def test_rotary_grid(pack: builders.Pack) -> None:
    reference = builders.transformer(strength=6.0)
    latents, context = inputs(batch=1)
    expected = predict(reference, latents, torch.tensor(999), context)
    model = corrected(pack, reference)
    assert error(host_velocity(model, latents, 999, context), expected) < 1e-4
    del model.object_patches[ROTARY]
    assert error(host_velocity(model, latents, 999, context), expected) > 1e-2


def image_model(pack: builders.Pack) -> tuple:
    reference = builders.transformer(in_channels=32, learned=True, strength=6.0)
    model = builders.host_model(reference)
    embed = model.model.diffusion_model.patch_embed
    embed.sample_width, embed.sample_height = 12, 8
    embed.pos_embedding = reference.patch_embed.pos_embedding.clone()
    latents, context = inputs((3, 8, 12), batch=1)
    image = torch.randn(1, 16, 3, 8, 12, generator=torch.Generator().manual_seed(9))
    expected = predict(reference, torch.cat([latents, image], dim=1), torch.tensor(999), context)
    return pack("nodes.host.corrections").correct(model), latents, context, image, expected


@pytest.mark.parametrize("patch", [None, "diffusion_model.use_rotary_positional_embeddings", EMBED])
def test_rotary_and_learned_position_of_image_models(pack: builders.Pack, patch: str) -> None:
    model, latents, context, image, expected = image_model(pack)
    if patch is not None:
        del model.object_patches[patch]
    distance = error(host_velocity(model, latents, 999, context, image), expected)
    assert distance < 1e-4 if patch is None else distance > 1e-2


def test_learned_position_refuses_other_sizes(pack: builders.Pack) -> None:
    model = image_model(pack)[0]
    latents, context = inputs((3, 12, 8), batch=1)
    with pytest.raises(ValueError, match="learned its positions at 96x64 with 9"):
        host_velocity(model, latents, 999, context, torch.zeros_like(latents))


def test_without_learned_position_there_is_none(pack: builders.Pack) -> None:
    model, latents, context, image, expected = image_model(pack)
    module = pack("nodes.host.corrections")
    changed = module.correct(module.without_learned_position(model))
    del changed.object_patches[EMBED]
    got = host_velocity(changed, latents, 999, context, image)
    reference = builders.transformer(in_channels=32, learned=True, strength=6.0)
    reference.patch_embed.pos_embedding.zero_()
    both = torch.cat([latents, image], dim=1)
    assert error(got, predict(reference, both, torch.tensor(999), context)) < 1e-4


def test_prompts_are_cut_to_226_tokens(pack: builders.Pack) -> None:
    from comfy.samplers import KSampler

    reference = builders.transformer()
    model = corrected(pack, reference)
    generator = torch.Generator().manual_seed(2)
    long, empty = torch.randn(2, 1, 301, builders.TEXT, generator=generator)
    noise = torch.randn(1, 16, 1, 4, 4, generator=generator)

    def run(patched, text):
        sampler = KSampler(patched, 2, "cpu", "euler", "simple")
        return sampler.sample(
            noise, [[text, {}]], [[empty[:, :226], {}]], 4.0, torch.zeros_like(noise)
        )

    expected = run(model, long[:, :226])
    assert torch.equal(run(model, long), expected)
    del model.object_patches["extra_conds"]
    assert error(run(model, long), expected) > 1e-3


def test_correcting_twice_is_correcting_once(pack: builders.Pack) -> None:
    once = image_model(pack)[0]
    twice = pack("nodes.host.corrections").correct(once)
    assert twice.object_patches.keys() == once.object_patches.keys()
    assert all(twice.object_patches[k] is p for k, p in once.object_patches.items())


def test_a_host_without_the_errors_is_left_alone(pack: builders.Pack) -> None:
    model = image_model(pack)[0]
    assert set(model.object_patches) == {
        ROTARY,
        EMBED,
        "diffusion_model.use_rotary_positional_embeddings",
        "extra_conds",
        "model_sampling",
    }
    # The corrected functions stand for a host that has learned better.
    fixed = builders.host_model(builders.transformer())
    for name, patch in corrected(pack, builders.transformer()).object_patches.items():
        fixed.add_object_patch(name, patch)
    before = dict(fixed.object_patches)
    assert pack("nodes.host.corrections").correct(fixed).object_patches == before
