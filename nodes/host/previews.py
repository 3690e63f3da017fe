"""Live previews of CogVideoX's latents, for which the host knows no colours.

The host's own previewer multiplies latents by factors of their format. They are fitted once to the
autoencoder that the user has, and kept by the name of its weights.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import folder_paths
import torch

from ...tora2.encoders.fingerprint import fingerprint
from ...tora2.previews import RgbFactors, chart, fit
from . import video

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[2] / "tora2" / "assets" / "previews"


def factors(vae: Any) -> RgbFactors | None:
    """Those of an autoencoder of CogVideoX's latents; encodes one chart if they are not kept.

    None of one that has no weights to be known by, or where memory is short: there is no preview.
    """
    network = vae.first_stage_model
    if not isinstance(network, torch.nn.Module):
        return None
    name = f"{fingerprint(network.state_dict())}.json"
    kept = Path(folder_paths.get_user_directory()) / "tora2" / "previews"
    for folder in (SHIPPED, kept):
        try:
            return RgbFactors.load(folder / name)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:  # a lost file costs one more fit
            logger.warning("Tora2: colours for previews are fitted again: %s", error)
    frame = chart()
    try:
        latents = video.encode(vae, frame[None])
    except ValueError as error:
        logger.warning("Tora2: no live previews: %s", error)
        return None
    fitted = fit(latents[0, :, 0], frame)
    try:
        kept.mkdir(parents=True, exist_ok=True)
        fitted.save(kept / name)
    except OSError as error:
        logger.warning("Tora2: colours for previews are not kept: %s", error)
    return fitted


def show(model: Any, fitted: RgbFactors | None) -> None:
    """Let the host preview what a MODEL samples, if it cannot; its results stay what they are."""
    format = model.model.latent_format
    if fitted is None or (format.latent_rgb_factors and not hasattr(format, "tora2_factors")):
        return
    scale = format.scale_factor
    format.tora2_factors = fitted
    format.latent_rgb_factors = [[x / scale for x in row] for row in fitted.factors]
    format.latent_rgb_factors_bias = list(fitted.bias)
