"""The autoencoder whose encoder is fixed: principal components, their inverse, its training."""

import torch

from tora2.data.spritebind import SpriteBind, SpriteBindConfig
from tora2.data.spritebind.encoding import to_signed
from tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from tora2.training.autoencoder import (
    AutoencoderTraining,
    fit_components,
    train_autoencoder,
)

CONFIG = PatchAutoencoderConfig(width=16, layers=1, pixel_channels=4, encoder="components")
DATA = SpriteBind(SpriteBindConfig(size=32, frames=5, sprites="large"), 0)


def encoded(model: PatchAutoencoder) -> torch.Tensor:
    return torch.cat([model.encode(to_signed(DATA[i].frames)[None]) for i in range(16)])


@torch.no_grad()
def test_components_are_centred_white_and_the_nearest_of_their_span() -> None:
    model = PatchAutoencoder(CONFIG)
    fit_components(model, DATA, clips=16)
    latents = encoded(model)
    assert latents.mean((0, 2, 3, 4)).abs().max() < 1e-3
    assert (latents.std((0, 2, 3, 4)) - 1).abs().max() < 1e-2
    # Before it is trained the network adds nothing, and encoding what was decoded changes nothing.
    video = model.decode(latents)
    first = video[:, :, :1].expand(-1, -1, 3, -1, -1)
    whole = model._composed(latents)
    assert torch.equal(whole[:, :, 3:], video)
    assert torch.allclose(model.components(whole), latents, atol=1e-3)
    assert first.shape[2] == 3


def test_only_the_decoder_is_trained() -> None:
    model = train_autoencoder(CONFIG, AutoencoderTraining(steps=3, clips=1, crop=32), DATA, 0)
    fitted = PatchAutoencoder(CONFIG)
    fit_components(fitted, DATA)
    assert torch.equal(model.components.weight, fitted.components.weight)
    assert not model.components.weight.requires_grad
    assert bool(model.refine[-2].weight.any()) and not bool(fitted.refine[-2].weight.any())
