"""LoRAs made here in the host: its own loader, ours beside the weights, and the guider of both."""

from pathlib import Path
from typing import Any

import builders
import pytest
import torch
from test_equality import corrected, error, host_velocity, inputs
from torch import Tensor

from tora2.backbone import predict
from tora2.customization import (
    AppliedLoras,
    Collaboration,
    Lora,
    LoraInfo,
    lora_targets,
    phased,
    read_lora,
    write_lora,
)
from tora2.sampling import ClassifierFree
from tora2.sampling.collaborative import predict_collaboratively
from tora2.scene import Window

STEPS = 2


def made(reference: Any, folder: Path, name: str = "motion", **changes: Any) -> Path:
    """A random LoRA as a file, of one of the methods."""
    generator = torch.Generator().manual_seed(len(name))
    info = LoraInfo("a small model", name, "tap" if name == "motion" else "full", 3, **changes)
    layers = {
        layer: (
            torch.randn(3, 128, generator=generator) * 0.3,
            torch.randn(128, 3, generator=generator) * 0.3,
        )
        for layer in lora_targets(reference, info.arm)
    }
    path = folder / f"{name}.safetensors"
    write_lora(Lora(info, layers), path)
    return path


def test_the_hosts_own_loader_takes_a_lora_and_lets_it_go(
    pack: builders.Pack, tmp_path: Path
) -> None:
    import comfy.sd
    import comfy.utils

    reference = builders.transformer()
    path = made(reference, tmp_path, "subject")
    model = corrected(pack, reference)
    latents, context = inputs()
    plain = host_velocity(model, latents, 499, context)
    weights, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    assert '"method": "subject"' in metadata["tora2_lora"]
    loaded, _ = comfy.sd.load_lora_for_models(model, None, weights, 0.8, 0.0)
    assert len(loaded.patches) == len(read_lora(path).layers)
    got = host_velocity(loaded, latents, 499, context)
    with AppliedLoras(reference, [(read_lora(path), Window(0.8))]):
        expected = predict(reference, latents, torch.tensor(499), context)
    assert error(got, expected) < 1e-4 < 1e-2 < error(got, plain)
    assert torch.equal(host_velocity(model, latents, 499, context), plain)


@pytest.mark.parametrize("video_only", [False, True])
def test_ours_stands_beside_the_weights_and_follows_the_schedule(
    pack: builders.Pack, tmp_path: Path, video_only: bool
) -> None:
    reference = builders.transformer()
    path = made(reference, tmp_path, video_only=video_only)
    read = pack("tora2.customization.lora").read_lora(path)
    model = corrected(pack, reference)
    loras = pack("nodes.host.loras")
    patched = loras.attach(model, read, loras.Window(0.8, 0.0, 0.6))
    latents, context = inputs()
    plain = host_velocity(model, latents, 900, context)
    got = host_velocity(patched, latents, 900, context)
    with AppliedLoras(reference, [(read_lora(path), Window(0.8))]):
        expected = predict(reference, latents, torch.tensor(900), context)
    assert error(got, expected) < 1e-4 < 1e-3 < error(got, plain)
    late = host_velocity(patched, latents, 100, context)
    assert torch.equal(late, host_velocity(model, latents, 100, context))
    beside = patched.get_wrappers("apply_model", loras.KEY)[0].__self__
    assert not beside._placed and beside.strength == 0


def test_video_only_is_nothing_to_the_hosts_loader(pack: builders.Pack, tmp_path: Path) -> None:
    import comfy.sd
    import comfy.utils

    reference = builders.transformer()
    weights = comfy.utils.load_torch_file(str(made(reference, tmp_path, video_only=True)))
    loaded, _ = comfy.sd.load_lora_for_models(corrected(pack, reference), None, weights, 1.0, 0.0)
    assert not loaded.patches


def guider(pack: builders.Pack, tmp_path: Path, settings: dict[str, Any]) -> tuple[Any, ...]:
    """The host's guider on a small model with both LoRAs, and what the library needs for it."""
    reference = builders.transformer()
    read = pack("tora2.customization.lora").read_lora
    loras, host = pack("nodes.host.loras"), pack("nodes.host.collaboration")
    model = corrected(pack, reference)
    files = {name: made(reference, tmp_path, name) for name in ("subject", "motion")}
    windows = {"subject": Window(), "motion": phased()}
    for name, file in files.items():
        model = loras.attach(model, read(file), loras.Window(**vars(windows[name])))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 16, 2, 4, 6, generator=generator)
    positive, negative = torch.randn(2, 1, 226, builders.TEXT, generator=generator)
    made_guider = host.CollaborativeGuider(model)
    made_guider.set_conds([[positive, {}]], [[negative, {}]])
    made_guider.set_cfg(3.0)
    made_guider.set_collaboration(pack("tora2.customization").Collaboration(**settings))
    applied = {
        name: AppliedLoras(reference, [(read_lora(file), windows[name])])
        for name, file in files.items()
    }
    return made_guider, reference, noise, positive, negative, applied


def hosted(made_guider: Any, noise: Tensor) -> Tensor:
    from comfy.samplers import calculate_sigmas, ksampler

    sampling = made_guider.model_patcher.get_model_object("model_sampling")
    sigmas = calculate_sigmas(sampling, "simple", STEPS)
    samples = made_guider.sample(noise, torch.zeros_like(noise), ksampler("euler"), sigmas)
    return made_guider.model_patcher.model.process_latent_in(samples)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0, "subject": 0.3, "motion": 0.7},
        {"steps": 1, "rate": 100.0},
        {"steps": 1, "blocks": (0, 2)},
    ],
)
def test_the_guiders_steps_are_the_librarys(
    pack: builders.Pack, tmp_path: Path, settings: dict[str, Any]
) -> None:
    made_guider, reference, noise, positive, negative, applied = guider(pack, tmp_path, settings)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    predict_noise = made_guider.predict_noise

    def record(x: Tensor, timestep: Tensor, *rest: Any) -> Tensor:
        out = predict_noise(x, timestep, *rest)
        seen.append((x.clone(), timestep.clone(), out.clone()))
        return out

    made_guider.predict_noise = record
    # The server runs everything, loading included, in inference mode.
    with torch.inference_mode():
        hosted(made_guider, noise)
    sampling = made_guider.model_patcher.get_model_object("model_sampling")
    for index, (x, sigma, got) in enumerate(seen):
        x, sigma, got = (one.clone() for one in (x, sigma, got))
        v = predict_collaboratively(
            reference,
            sampling.calculate_input(sigma, x),
            sampling.timestep(sigma).round().long()[0],
            (index, STEPS),
            positive,
            applied,
            negative,
            None,
            ClassifierFree(3.0),
            Collaboration(**settings),
        )
        assert error(got, sampling.calculate_denoised(sigma, v, x)) < 1e-4, index
    assert len(seen) == STEPS


@pytest.mark.parametrize("kind", ["subject", "motion"])
def test_a_weight_of_one_is_its_branch_bit_for_bit(
    pack: builders.Pack, tmp_path: Path, kind: str
) -> None:
    from comfy.samplers import CFGGuider

    share = float(kind == "motion")
    settings = {"subject": 1 - share, "motion": share, "steps": 2}
    made_guider, reference, noise, positive, negative, _ = guider(pack, tmp_path, settings)
    loras = pack("nodes.host.loras")
    read = pack("tora2.customization.lora").read_lora(tmp_path / f"{kind}.safetensors")
    window = phased() if kind == "motion" else Window()
    alone = CFGGuider(loras.attach(corrected(pack, reference), read, loras.Window(**vars(window))))
    alone.set_conds([[positive, {}]], [[negative, {}]])
    alone.set_cfg(3.0)
    assert torch.equal(hosted(made_guider, noise), hosted(alone, noise))


def test_an_interrupt_leaves_nothing_held(pack: builders.Pack, tmp_path: Path) -> None:
    import comfy.model_management as management

    made_guider, *rest = guider(pack, tmp_path, {"steps": 2})
    loras = pack("nodes.host.loras")
    management.interrupt_current_processing()
    with pytest.raises(management.InterruptProcessingException):
        hosted(made_guider, rest[1])
    for wrapper in made_guider.model_patcher.get_wrappers("apply_model", loras.KEY):
        assert not wrapper.__self__._placed and wrapper.__self__.strength == 0


def test_refusals(pack: builders.Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = builders.transformer()
    model = corrected(pack, reference)
    nodes, host = pack("nodes.customization"), pack("nodes.host.collaboration")
    with pytest.raises(ValueError, match="has no motion LoRA to run apart, expected one from"):
        nodes.Tora2CollaborativeGuider.execute(model, [], [], 6.0, 0.5, 0)
    with pytest.raises(ValueError, match="CogVideoXTransformer3DModel, which has no skip branches"):
        nodes.Tora2AppearanceHighway.execute(model)
    made_guider, *rest = guider(pack, tmp_path, {"steps": 2})
    monkeypatch.setattr(host.model_management, "get_free_memory", lambda device: 1 << 20)
    with pytest.raises(ValueError, match="GiB are free beside the model, expected fewer blocks"):
        hosted(made_guider, rest[1])
    with pytest.raises(ValueError, match="block 9 is not there, expected 0 to 2"):
        guider(pack, tmp_path, {"steps": 2, "blocks": (9,)})


def test_the_highway_scales_the_skips_of_a_unet(pack: builders.Pack) -> None:
    class UNet:
        def __init__(self) -> None:
            self.model = type("Model", (), {"diffusion_model": self})()
            self.output_blocks, self.patch = [], None

        def clone(self) -> "UNet":
            return UNet()

        def set_model_output_block_patch(self, patch: Any) -> None:
            self.patch = patch

    hidden, skip = torch.ones(1, 2), torch.full((1, 2), 2.0)
    patched = pack("nodes.host.highway").scale_skips(UNet(), 1.1)
    left, right = patched.patch(hidden, skip, {})
    assert torch.equal(left, hidden) and torch.allclose(right, skip * 1.1)
