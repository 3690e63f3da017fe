"""The nodes at the sizes that users make: 480x720 with 49 frames, and others, as the library.

The transformer is one head wide, so that its 17,776 tokens fit a test, and the bundled model's
kind of autoencoder stands in for CogVideoX's own, which `test_video.py` holds to diffusers.
"""

from pathlib import Path
from typing import Any

import builders
import pytest
import small
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import save_file
from test_equality import error, host_velocity
from torch import Tensor

from tora2.backbone import predict
from tora2.conditioning import Tora2Conditioning
from tora2.latents import encode_video
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from tora2.trajectory import parse, sample
from tora2.trajectory.flow import flow_map, flow_rgb

LAYERS, TEXT = 2, 24
# Relative errors of a LATENT; up to 0.025 and 0.004 were measured.
TOLERANCE = {torch.bfloat16: 6e-2, torch.float16: 1e-2}


def transformer(in_channels: int) -> CogVideoXTransformer3DModel:
    model = small.transformer(
        in_channels=in_channels, text_embed_dim=TEXT, num_layers=LAYERS, max_text_seq_length=226
    )
    return small.sharpen(model, 2).requires_grad_(False)


def motion_parts() -> Tora2Adapter:
    torch.manual_seed(1)
    config = Tora2Config(dim=64, layers=LAYERS, feature_dim=32, capabilities=("motion",))
    return small.wake(Tora2Adapter(config).eval().requires_grad_(False))


def autoencoder() -> PatchAutoencoder:
    torch.manual_seed(2)
    config = PatchAutoencoderConfig(width=16, layers=1, pixel_channels=4, scaling_factor=1.15258426)
    return PatchAutoencoder(config).eval().requires_grad_(False)


def document(size: tuple[int, int, int]) -> dict[str, Any]:
    paths = [
        {"id": "a", "points": [{"x": 0.1, "y": 0.2}, {"x": 0.5, "y": 0.9}, {"x": 0.9, "y": 0.3}]},
        {"id": "b", "points": [{"x": 0.8, "y": 0.8}, {"x": 0.3, "y": 0.6}], "curve": "linear"},
    ]
    width, height, frames = size
    return {"version": 1, "width": width, "height": height, "frames": frames, "tracks": paths}


class Graph:
    """The nodes from a folder with a transformer and Tora's split files to a patched MODEL."""

    def __init__(
        self,
        host: Any,
        pack: builders.Pack,
        folder: Path,
        in_channels: int = 16,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.node, self.pack = host.NODE_CLASS_MAPPINGS, pack
        state = transformer(in_channels).state_dict()
        save_file({n: x.to(dtype) for n, x in state.items()}, folder / "model.safetensors")
        for part, of in (("fuser", "fuser."), ("extractor", "traj_extractor.")):
            tensors = {
                n.removeprefix(f"{part}."): x.clone()
                for n, x in motion_parts().state_dict().items()
                if n.startswith(f"{part}.")
            }
            (folder / of[:-1]).mkdir()
            save_file(tensors, folder / of[:-1] / f"{of[:-1]}.safetensors")
        load_adapter = pack("tora2.checkpoints").load_adapter
        self.model = pack("nodes.host.transformers").load_model(str(folder / "model.safetensors"))
        adapter = load_adapter(folder / "fuser" / "fuser.safetensors").to(dtype)
        patcher = pack("nodes.host.adapters").manage(adapter)
        self.adapter = pack("nodes.io_types").LoadedAdapter(patcher, "fuser")
        own = pack("tora2.models.autoencoder")
        vae = own.PatchAutoencoder(own.PatchAutoencoderConfig(**vars(autoencoder().config)))
        vae.load_state_dict(autoencoder().state_dict())
        self.vae = pack("nodes.host.tiny").PatchVAE(vae.eval().requires_grad_(False))

    def applied(self, size: tuple[int, int, int]) -> Any:
        drawn = self.pack("tora2.trajectory").parse(document(size))
        bound, _, flow = self.node["Tora2Bind"].execute(self.adapter, drawn, self.vae).result
        assert flow.shape == (size[2], size[1], size[0], 3) and bound.size == size
        return self.node["Tora2Apply"].execute(self.model, bound).result[0]

    def sampled(self, size: tuple[int, int, int], image: bool, steps: int) -> Tensor:
        """A LATENT after some steps; a single one is not guided."""
        width, height, frames = size
        generator = torch.Generator().manual_seed(5)
        positive, negative = (
            [[torch.randn(1, 226, TEXT, generator=generator), {}]] for _ in range(2)
        )
        latent: Any = {"samples": torch.zeros(1, 16, frames // 4 + 1, height // 8, width // 8)}
        if image:
            first = torch.rand(1, 300, 200, 3, generator=generator)
            positive, negative, latent = (
                self.node["Tora2ImageToVideo"]
                .execute(positive, negative, self.vae, first, width, height, frames, "crop")
                .result
            )
        model, away = self.applied(size), negative if steps > 1 else None
        made = self.node["Tora2Sampler"].execute(
            model, positive, latent, 7, steps, 6.0, "constant", negative=away
        )
        samples = made.result[0]["samples"]
        assert samples.shape == (1, 16, frames // 4 + 1, height // 8, width // 8)
        assert samples.dtype == torch.float32 and bool(samples.isfinite().all())
        assert float(samples.std()) > 0.1
        return samples


def test_the_trained_size_is_the_library_s(host: Any, pack: builders.Pack, tmp_path: Path) -> None:
    size = (720, 480, 49)
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 16, 13, 60, 90, generator=generator)
    context = torch.randn(1, 226, TEXT, generator=generator)
    flow = flow_map(sample(parse(document(size))), (480, 720))
    picture = flow_rgb(flow).transpose(0, 1)[None].float() / 127.5 - 1
    motion = encode_video(autoencoder(), picture)
    conditioning = Tora2Conditioning.build(motion_parts(), motion)
    reference = transformer(16)
    expected = predict(reference, latents, torch.tensor(499), context, conditioning)
    model = Graph(host, pack, tmp_path).applied(size)
    assert error(host_velocity(model, latents, 499, context), expected) < 1e-4
    plain = predict(reference, latents, torch.tensor(499), context)
    assert error(plain, expected) > 0.05


@pytest.mark.parametrize(
    ("size", "image", "steps", "dtypes"),
    [
        ((640, 480, 5), True, 2, (torch.bfloat16, torch.float16)),
        ((512, 320, 9), False, 2, (torch.bfloat16, torch.float16)),
        ((320, 512, 5), True, 2, (torch.bfloat16, torch.float16)),
        # float16 takes minutes on a CPU from here on
        ((1360, 768, 5), False, 1, (torch.bfloat16,)),
        ((720, 480, 49), True, 1, (torch.bfloat16,)),
    ],
)
def test_sampling(
    host: Any,
    pack: builders.Pack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int, int],
    image: bool,
    steps: int,
    dtypes: tuple[torch.dtype, ...],
) -> None:
    from comfy import model_management

    channels = 32 if image else 16
    made = {}
    for dtype in (torch.float32, *dtypes):
        # On a CPU the host computes in float32 unless it believes that less is supported.
        half = dtype == torch.float16
        monkeypatch.setattr(model_management, "should_use_fp16", lambda *_, h=half, **__: h)
        brain = dtype == torch.bfloat16
        monkeypatch.setattr(model_management, "should_use_bf16", lambda *_, b=brain, **__: b)
        folder = tmp_path / str(dtype)
        folder.mkdir()
        graph = Graph(host, pack, folder, channels, dtype)
        made[dtype] = graph.sampled(size, image, steps)
        assert graph.model.model.get_dtype_inference() == dtype
    for dtype in dtypes:
        assert error(made[dtype], made[torch.float32]) < TOLERANCE[dtype]
