"""The host's own previewer shows what CogVideoX samples, in the colours of the user's VAE."""

import json
from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest
import torch

from tora2.previews import chart, fit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundled(pack: builders.Pack) -> Any:
    tiny = pack("nodes.host.tiny")
    return tiny.load(tiny.FOLDER)


def test_the_bundled_models_factors_are_shipped(pack: builders.Pack, bundled: Any) -> None:
    previews, video = pack("nodes.host.previews"), pack("nodes.host.video")
    shipped = previews.factors(bundled[2])
    assert len(list(previews.SHIPPED.iterdir())) == 1 and shipped.explained > 0.95
    frame = chart()
    again = fit(video.encode(bundled[2], frame[None])[0, :, 0], frame)
    assert np.allclose(shipped.factors, again.factors, atol=1e-4)
    assert np.allclose(shipped.bias, again.bias, atol=1e-4)


def test_the_hosts_previewer_shows_the_frame(
    pack: builders.Pack, bundled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import latent_preview
    from comfy.cli_args import LatentPreviewMethod, args

    previews, video = pack("nodes.host.previews"), pack("nodes.host.video")
    model, vae = bundled[0], bundled[2]
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    format = model.model.latent_format
    assert latent_preview.get_previewer(torch.device("cpu"), format) is None
    previews.show(model, previews.factors(vae))
    previews.show(model.clone(), previews.factors(vae))
    frame = chart()
    latent = format.process_in(video.encode(vae, frame[None]))
    shown = latent_preview.get_previewer(torch.device("cpu"), format).decode_latent_to_preview(
        latent
    )
    small = torch.nn.functional.adaptive_avg_pool2d(frame.movedim(-1, 0), latent.shape[-2:])
    off = torch.from_numpy(np.asarray(shown)).movedim(-1, 0) / 255 - small
    assert float(off.abs().mean()) < 0.04


def test_another_autoencoder_is_fitted_once(
    pack: builders.Pack, bundled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import copy

    import folder_paths

    previews = pack("nodes.host.previews")
    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path))
    other = copy.copy(bundled[2])
    other.first_stage_model = copy.deepcopy(other.first_stage_model)
    for parameter in other.first_stage_model.parameters():
        parameter.data.mul_(0.9)
    made = previews.factors(other)
    (kept,) = tmp_path.rglob("*.json")
    assert pack("tora2.previews").RgbFactors.load(kept) == made != previews.factors(bundled[2])
    kept.write_text(kept.read_text().replace(str(made.bias[0]), "7.0"))
    assert previews.factors(other).bias[0] == 7, "read, not fitted again"
    kept.write_text(json.dumps({"factors": [[1]], "bias": [0, 0, 0], "explained": 1}))
    assert previews.factors(other) == made, "what is damaged is fitted again"
