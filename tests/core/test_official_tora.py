"""The numbers of Tora's official code, recorded by running it.

Run was alibaba/Tora at revision 9a23dce with torch 2.12.1, diffusers 0.42.1, torchvision 0.27.1
and OpenCV 5.0.0, float32 on a CPU: of `diffusers-version/` the trajectories, the extractor, the
fusers, `ToraTransformer3DModel` and both pipelines; of `sat/` the `DiffusionTransformer`. The
transformers have 3 blocks of 2 heads of 64, a time embedding of 32, text of 40 channels, and
otherwise the published configuration; the tensors' names and shapes are the official classes' own.

`tests/fixtures/official_tora/` holds every STRIDE-th value of what came out. Weights and inputs are
in no file: each is drawn from a generator that is seeded with the CRC-32 of its name.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch
from diffusers import AutoencoderKLCogVideoX
from diffusers.schedulers import scheduling_dpm_cogvideox
from safetensors.torch import save_file
from torch import Tensor

from tora2.backbone import load_transformer, predict
from tora2.checkpoints import load_adapter
from tora2.conditioning import Tora2Conditioning
from tora2.latents import encode_video
from tora2.sampling import Dynamic, make_scheduler, sample_latents
from tora2.sampling.guiders import dynamic_guidance
from tora2.trajectory import Tracks
from tora2.trajectory.flow import flow_map, flow_rgb
from tora2.trajectory.tora import resample

RECORDED = Path(__file__).parents[1] / "fixtures" / "official_tora"
OUTPUTS = dict(np.load(RECORDED / "outputs.npz"))
FLOWS = dict(np.load(RECORDED / "flow.npz"))
CASES = json.loads((RECORDED / "flow.json").read_text())
TENSORS = json.loads((RECORDED / "tensors.json").read_text())
STRIDE, SHORT_STRIDE, FLOW_STRIDE = 97, 7, 997
LAYOUTS = ("diffusers", "sat", "kijai", "comfy")
SIZES = ((2, 60, 90), (3, 40, 64), (1, 30, 46))


def normal(name: str, shape: Any) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(tuple(shape), generator=generator)


def weight(name: str, shape: list[int]) -> Tensor:
    """A weight wide enough for attention, gates and motion all to matter."""
    drawn, kind = normal(name, shape), name.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if kind == "running_var":
        return drawn.abs() + 0.5
    if kind in ("bias", "running_mean"):
        return 0.2 * drawn
    if kind == "pos_embedding":
        return 0.5 * drawn
    if len(shape) == 1:
        sharp = any(k in name for k in ("norm_q", "norm_k", "query_layer", "key_layer"))
        return (3 if sharp else 1) * (1 + 0.2 * drawn)
    return (0.5 if "body" in name else 1) * drawn / drawn[0].numel() ** 0.5


def weights(kind: str, prefix: str = "") -> dict[str, Tensor]:
    return {name: weight(prefix + name, shape) for name, shape in TENSORS[kind].items()}


def error(got: Tensor, recorded: np.ndarray, stride: int = STRIDE) -> float:
    """Relative error of a tensor's recorded values."""
    expected = torch.from_numpy(recorded).double()
    found = got.detach().contiguous().flatten()[::stride].double()
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


# Trajectories and the flow picture


def tracks_of(case: dict[str, Any]) -> Tracks:
    size = case["height"], case["width"]
    points = resample(case["lists"], case["frames"], size)
    seen = torch.ones(points.shape[:2], dtype=torch.bool)
    owner = torch.full((len(points),), -1)
    return Tracks(points.float(), seen, owner, size[1], size[0], case["frames"])


@pytest.mark.parametrize("name", CASES)
def test_flow(name: str) -> None:
    case = CASES[name]
    tracks = tracks_of(case)
    assert tracks.points.tolist() == FLOWS[f"{name}.points"].tolist()
    flow = flow_map(tracks, (case["height"], case["width"]), "tora")
    recorded = FLOWS[f"{name}.flow"]
    if name == "still":
        assert not recorded.any() and not flow.any()
    else:
        assert error(flow, recorded, FLOW_STRIDE) < 1e-6

    picture = torch.from_numpy(FLOWS[f"{name}.rgb"]).int()
    got = flow_rgb(flow).flatten()[::STRIDE].int()
    # The colour wheel has its seam at motion straight to the right. There OpenCV's blur, done by
    # a Fourier transform, leaves vertical motion of 1e-16 of either sign where another track moves
    # vertically in the same frame, so that upstream's own pixels fall on one side or the other.
    seam = flow.clone()
    seam[:, 1][(flow[:, 1] == 0) & (flow[:, 0] > 0)] = -1e-16
    other = flow_rgb(seam).flatten()[::STRIDE].int()
    # A level apart where a colour lies on a whole number, to the last bits of the blur.
    assert int(torch.minimum((picture - got).abs(), (picture - other).abs()).max()) <= 1
    same = float((picture == got).float().mean())
    assert same > (0.98 if name in ("crossing", "check") else 0.99999)
    if name in ("two_points", "long", "upright", "small", "large", "still"):
        assert torch.equal(picture, got)


# The networks


def save(
    state: dict[str, Tensor], layout: str, folder: Path, to_layout: Any, **changes: Any
) -> Path:
    """Write the official diffusers tensors in a public layout."""
    parts: dict[str, dict[str, Tensor]] = {"traj_extractor": {}, "fuser": {}, "": {}}
    for name, tensor in state.items():
        part = name.split(".")[0] if name.split(".")[0] in parts else ""
        parts[part][name.removeprefix(f"{part}.") if part else name] = tensor
    base = to_layout(parts[""], layout)
    if layout == "diffusers":
        shards = [f"diffusion_pytorch_model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
        places = {name: shards[i % 3] for i, name in enumerate(state)}
        for shard in shards:
            save_file({n: t for n, t in state.items() if places[n] == shard}, folder / shard)
        index = {"metadata": {}, "weight_map": places}
        (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
        config = json.loads((RECORDED / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
        return folder
    if layout == "kijai":
        for part in ("fuser", "traj_extractor"):
            (folder / part).mkdir()
            save_file(parts[part], folder / part / f"{part}.safetensors")
        (folder / "transformer").mkdir()
        save_file(base, folder / "transformer" / "diffusion_pytorch_model.safetensors")
        return folder
    root = "model.diffusion_model."
    fusers = root + "mixins.adaln_layer.fuser_list." if layout == "sat" else "fuser."
    extractor = root + "traj_extractor." if layout == "sat" else "traj_extractor."
    if layout == "comfy":
        base = {root + name: tensor for name, tensor in base.items()}
    merged = {
        **base,
        **{fusers + name: tensor for name, tensor in parts["fuser"].items()},
        **{extractor + name: tensor for name, tensor in parts["traj_extractor"].items()},
    }
    if layout == "sat":
        file = folder / "mp_rank_00_model_states.pt"
        torch.save({"module": merged}, file)
        return file
    save_file(merged, folder / "merged.safetensors")
    return folder / "merged.safetensors"


def denoise(transformer: Any, adapter: Any, size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """The prediction with motion and without, both halves of the guidance at once."""
    latents = normal("latents 1", (2, transformer.config.in_channels, *size))
    context = normal("context 1", (2, 226, 40))
    motion = 0.7 * normal("motion 1", (1, 16, *size))
    with torch.no_grad():
        conditioning = Tora2Conditioning.build(adapter, motion)
        step = torch.tensor(500)
        return (
            predict(transformer, latents, step, context, conditioning),
            predict(transformer, latents, step, context),
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_transformer(layout: str, tmp_path: Path, to_layout: Any) -> None:
    path = save(weights("t2v"), layout, tmp_path, to_layout)
    transformer, adapter = load_transformer(path, torch.float32), load_adapter(path)
    for size in SIZES if layout == "diffusers" else SIZES[1:]:
        name = "t2v.{}x{}x{}.".format(*size)
        moved, plain = denoise(transformer, adapter, size)
        assert error(moved, OUTPUTS[name + "out"]) < 1e-4
        assert error(plain, OUTPUTS[name + "plain"]) < 1e-4
        assert error(plain, OUTPUTS[name + "out"]) > 0.1


def test_image_to_video_transformer(tmp_path: Path, to_layout: Any) -> None:
    # Learned for 5 frames, so that they apply to 5: for a clip shorter than the trained one
    # upstream takes sines in their place, which we do not (see test_positions.py).
    path = save(weights("i2v"), "diffusers", tmp_path, to_layout, sample_frames=5)
    moved, plain = denoise(load_transformer(path, torch.float32), load_adapter(path), SIZES[0])
    assert error(moved, OUTPUTS["i2v.2x60x90.out"]) < 1e-4
    assert error(plain, OUTPUTS["i2v.2x60x90.plain"]) < 1e-4


@pytest.mark.parametrize("kind", ["t2v", "i2v"])
def test_sat_transformer(kind: str, tmp_path: Path) -> None:
    module = {f"model.diffusion_model.{n}": t for n, t in weights(f"sat {kind}", "sat.").items()}
    path = tmp_path / "mp_rank_00_model_states.pt"
    torch.save({"module": module}, path)
    # Tora's SAT code makes the learned positions of image-to-video and never adds them.
    transformer = load_transformer(path, torch.float32, learned_positions=False)
    moved, _ = denoise(transformer, load_adapter(path), SIZES[0])
    assert error(moved, OUTPUTS[f"sat {kind}"]) < 1e-4


@pytest.mark.parametrize("size", [(2, 60, 90), (3, 9, 13), (1, 40, 64)])
def test_extractor_and_fuser(size: tuple[int, int, int], tmp_path: Path, to_layout: Any) -> None:
    adapter = load_adapter(save(weights("t2v"), "kijai", tmp_path, to_layout))
    frames, height, width = size
    with torch.no_grad():
        features = adapter.motion_features(0.7 * normal("motion 1", (1, 16, *size)))
        tokens = normal("tokens 1", (2 * frames, 128, -(-height // 2), -(-width // 2)))
        fused = [
            fuser(tokens, feature, frames)
            for fuser, feature in zip(adapter.fuser, features, strict=True)
        ]
    name = "{}x{}x{}".format(*size)
    for layer in range(3):
        assert error(features[layer], OUTPUTS[f"extractor.{name}"][layer]) < 1e-4
        assert error(fused[layer], OUTPUTS[f"fuser.{name}"][layer]) < 1e-4
        assert error(tokens, OUTPUTS[f"fuser.{name}"][layer]) > 0.1


# The pipelines: autoencoder, guidance and sampling


def test_dynamic_guidance() -> None:
    scheduler = make_scheduler("dpm")
    scheduler.set_timesteps(50)
    assert scheduler.timesteps.tolist() == OUTPUTS["timesteps of 50 steps"].tolist()
    scales = [dynamic_guidance(6.0, 50, float(t)) for t in scheduler.timesteps]
    assert scales == pytest.approx(OUTPUTS["dynamic guidance of 50 steps"].tolist(), rel=1e-9)


def autoencoder() -> AutoencoderKLCogVideoX:
    vae = small.autoencoder().eval()
    shapes = {name: list(tensor.shape) for name, tensor in vae.state_dict().items()}
    vae.load_state_dict({name: weight(f"vae.{name}", shape) for name, shape in shapes.items()})
    return vae.requires_grad_(False)


@pytest.mark.parametrize("kind", ["t2v", "i2v"])
def test_sampling(
    kind: str, tmp_path: Path, to_layout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Image-to-video runs unguided: upstream's loop doubles the flow at every guided step and stops.
    names = {n: t for n, t in weights(kind).items() if not n.endswith("pos_embedding")}
    path = save(names, "kijai", tmp_path, to_layout)
    transformer, adapter, vae = (
        load_transformer(path, torch.float32),
        load_adapter(path),
        autoencoder(),
    )
    case, draw = CASES["small"], torch.randn

    def frames_first(shape: Any, generator: torch.Generator, **_: Any) -> Tensor:
        batch, channels, frames, *sides = shape
        return draw(batch, frames, channels, *sides, generator=generator).transpose(1, 2)

    # Upstream's latents are [B, T, C, H, W], and so is the order of its random numbers.
    monkeypatch.setattr(scheduling_dpm_cogvideox, "randn_tensor", frames_first)
    picture = flow_rgb(flow_map(tracks_of(case), (64, 96), "tora")).float() / 127.5 - 1
    picture = picture.transpose(0, 1)[None]
    generator = torch.Generator().manual_seed(7)
    image_latents = None
    if kind == "i2v":
        image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(11))
        first = encode_video(vae, image[:, :, None] * 2 - 1, generator)
        image_latents = torch.cat([first, torch.zeros(1, 16, 2, 8, 12)], dim=2)
        assert error(image_latents.contiguous(), OUTPUTS["i2v.image_latent"], SHORT_STRIDE) < 1e-4
    motion_seed = generator if kind == "t2v" else torch.Generator().manual_seed(13)
    motion = encode_video(vae, picture, motion_seed)
    assert error(motion, OUTPUTS[f"{kind}.motion_latent"]) < 1e-4
    denoised = sample_latents(
        transformer,
        make_scheduler("dpm"),
        normal("noise 1", (1, 3, 16, 8, 12)).transpose(1, 2),
        normal("context 1", (1, 226, 40)),
        normal("negative 1", (1, 226, 40)) if kind == "t2v" else None,
        Tora2Conditioning.build(adapter, motion),
        steps=5 if kind == "t2v" else 4,
        guider=Dynamic(6.0),
        image_latents=image_latents,
        generator=generator,
    )
    assert error(denoised, OUTPUTS[f"{kind}.denoised"], SHORT_STRIDE) < 1e-4
