"""What Tora2 adds to a denoising step of CogVideoX-5B: 480 x 720, 49 frames, random weights.

Run `python benchmarks/step.py`. Operations and memory of the whole model are counted from shapes,
on any machine. Times are taken of two neighbouring blocks on a CPU (one with and one without a
personalization cross-attention, as all 42 alternate) and of the whole model on a GPU, there in
8-bit weights as well. Arms are timed in turn, so that a busy moment falls on all of them.

The arms: `plain` is diffusers' own forward; `published` is Tora as its authors run it, which
extracts motion features at every step and for both halves of the guidance; the others are this
project's with paths and so many entities.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.backbone import predict  # noqa: E402
from tora2.backbones.cogvideox import rotary_embedding  # noqa: E402
from tora2.conditioning import EntityCondition, Tora2Conditioning  # noqa: E402
from tora2.encoders.features import PictureFeatures  # noqa: E402
from tora2.geometry import COGVIDEOX  # noqa: E402
from tora2.models.adapter import Tora2Adapter, Tora2Config  # noqa: E402
from tora2.training.counting import Counted, count  # noqa: E402
from tora2.trajectory import Tracks  # noqa: E402

LATENT, FRAMES, SIZE, TEXT = (13, 60, 90), 49, (480, 720), 226
LAYERS, ENTITIES = 42, (0, 1, 3, 8)
SEMANTIC_TOKENS = 257  # DINOv2-L at 224 x 224
WORD_TOKENS = 3


@dataclass(frozen=True)
class Model:
    """A transformer of CogVideoX-5B's widths, its adapter, and the inputs of a step."""

    transformer: CogVideoXTransformer3DModel
    adapter: Tora2Adapter
    latents: Tensor
    context: Tensor
    timestep: Tensor
    motion_latent: Tensor

    @classmethod
    def make(cls, layers: int, batch: int, device: str, dtype: torch.dtype) -> "Model":
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                transformer = CogVideoXTransformer3DModel(
                    num_attention_heads=48,
                    num_layers=layers,
                    text_embed_dim=4096,
                    use_rotary_positional_embeddings=True,
                )
                adapter = Tora2Adapter(Tora2Config.preset("5b", layers=layers))
                return cls(
                    transformer.eval().requires_grad_(False),
                    adapter.eval().requires_grad_(False),
                    torch.randn(batch, 16, *LATENT),
                    torch.randn(batch, TEXT, 4096),
                    torch.tensor(499, dtype=torch.long),
                    torch.randn(1, 16, *LATENT),
                )
        finally:
            torch.set_default_dtype(default)

    def plain(self) -> Tensor:
        """diffusers' own forward."""
        rotary = rotary_embedding(self.transformer, LATENT[0], COGVIDEOX.tokens(*LATENT[1:]))
        out: Tensor = self.transformer(
            self.latents.transpose(1, 2),
            self.context,
            self.timestep.expand(len(self.latents)),
            image_rotary_emb=rotary,
            return_dict=False,
        )[0]
        return out

    def step(self, conditioning: Tora2Conditioning) -> Tensor:
        return predict(self.transformer, self.latents, self.timestep, self.context, conditioning)

    def published(self) -> Tensor:
        """Tora's own way: features at every step, once for each half of the guidance."""
        latent = self.motion_latent.expand(len(self.latents), -1, -1, -1, -1)
        return self.step(Tora2Conditioning.build(self.adapter, latent))

    def condition(self, entities: int) -> Tora2Conditioning:
        """What is computed once a clip, with one picture, word and track an entity."""
        conditions = [
            EntityCondition(
                (PictureFeatures(torch.randn(SEMANTIC_TOKENS, 1024), torch.randn(1024), "object"),),
                torch.randn(WORD_TOKENS, 4096),
            )
            for _ in range(entities)
        ]
        height, width = SIZE
        tracks = Tracks(
            torch.rand(entities, FRAMES, 2) * torch.tensor([width, height]),
            torch.ones(entities, FRAMES, dtype=torch.bool),
            torch.arange(entities),
            width,
            height,
            FRAMES,
        )
        return Tora2Conditioning.build(self.adapter, self.motion_latent, conditions, tracks)

    def shapes(self, entities: int) -> Tora2Conditioning:
        """As `condition` in shapes alone: building one asks for values, which counting lacks."""
        like = self.motion_latent
        config = self.adapter.config
        tokens = entities * config.queries
        features = self.adapter.motion_features(like)
        made = {
            int(layer): tuple(like.new_empty(1, tokens, config.attention_dim) for _ in range(2))
            for layer in self.adapter.cross_attention
        }
        return Tora2Conditioning(
            self.adapter,
            LATENT[0],
            tuple(features),
            made if entities else {},  # type: ignore[arg-type]
            torch.ones(1, tokens, dtype=torch.bool, device=like.device),
        )


def count_arms(batch: int) -> dict[str, Counted]:
    """Operations and peak memory of the activations of a step of the whole model in bfloat16."""
    with FakeTensorMode(), torch.no_grad():
        model = Model.make(LAYERS, batch, "cpu", torch.bfloat16)
        counted = {"plain": count(model.plain), "published": count(model.published)}
        for entities in ENTITIES:
            conditioning = model.shapes(entities)
            held = [*(conditioning.features or ()), *_flat(conditioning.keys_values)]
            one = count(partial(model.step, conditioning))
            bytes = sum(x.numel() * x.element_size() for x in held)
            counted[_name(entities)] = Counted(one.operations, one.bytes + bytes)
        counted["once a clip: extractor"] = count(
            lambda: model.adapter.motion_features(model.motion_latent)
        )
        sizes = {
            "weights of CogVideoX-5B": _bytes(model.transformer),
            "weights of the adapter": _bytes(model.adapter),
        }
    plain = counted["plain"]
    print(f"\nCounted, 42 blocks, bfloat16, batch {batch}")
    for name, size in sizes.items():
        print(f"  {name}: {size / 2**30:.2f} GiB")
    for name, one in counted.items():
        print(
            f"  {name}: {one.operations / 1e12:.1f} T operations "
            f"({one.operations / plain.operations:.4f}), activations {one.bytes / 2**30:.2f} GiB"
        )
    more = counted[_name(3)].bytes - plain.bytes
    share = (sizes["weights of the adapter"] + more) / sizes["weights of the adapter"]
    print(f"  peak over plain with 3 entities: {share:.3f} of the adapter's weights")
    return counted


def time_arms(
    layers: int, batch: int, device: str, dtype: torch.dtype, repeats: int, fp8: bool = False
) -> float:
    """Seconds of every arm, in turn, and ratios to `plain`; gives a plain step of all blocks."""
    with torch.no_grad():
        model = Model.make(layers, batch, device, dtype)
        _spread(model)
        if fp8:
            model.transformer.enable_layerwise_casting(torch.float8_e4m3fn, dtype)
        peaks = _peaks(model) if device == "cuda" else {}
        arms: dict[str, Callable[[], Any]] = {"plain": model.plain, "published": model.published}
        for entities in ENTITIES:
            arms[_name(entities)] = partial(model.step, model.condition(entities))
        if device == "cuda":  # a GPU compiles and tunes the first time
            for arm in arms.values():
                arm()
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(repeats):
            for name, arm in arms.items():
                start = _now(device)
                arm()
                seconds[name].append(_now(device) - start)
                print(f"    {name} {seconds[name][-1]:.2f} s", file=sys.stderr)
    weights = "8-bit weights, " if fp8 else ""
    print(f"\nTimed, {layers} blocks, {weights}{str(dtype)[6:]}, batch {batch}, {device}")
    plain = statistics.median(seconds["plain"])
    for name, taken in seconds.items():
        paired = [a / b for a, b in zip(taken, seconds["plain"], strict=True)]
        peak = f", peak {peaks[name] / 2**30:.2f} GiB" if name in peaks else ""
        print(
            f"  {name}: {statistics.median(taken):.3f} s, "
            f"ratio {statistics.median(paired):.3f} ({min(paired):.3f} to {max(paired):.3f}){peak}"
        )
    return plain * LAYERS / layers


def time_calls(
    layers: int, batch: int, device: str, dtype: torch.dtype, repeats: int, step: float
) -> None:
    """The two calls by themselves, whose cost can drown in the noise of whole steps."""
    with torch.no_grad():
        model = Model.make(layers, batch, device, dtype)
        _spread(model)
        tokens = torch.randn(batch, math.prod(LATENT) // 4, 3072, device=device, dtype=dtype)
        print(f"\nTimed, the calls of {layers} blocks alone, batch {batch}, {device}")
        for entities in ENTITIES:
            conditioning = model.condition(entities)
            taken = []
            for _ in range(repeats + 1):
                start = _now(device)
                for layer in range(layers):
                    conditioning.attend(layer, conditioning.modulate(layer, tokens))
                taken.append(_now(device) - start)
            seconds = statistics.median(taken[1:])
            share = seconds * LAYERS / layers / step
            print(f"  {_name(entities)}: {seconds:.3f} s, {share:.4f} of a plain step")


def time_conditioning(device: str, dtype: torch.dtype, repeats: int, step: float) -> None:
    """Seconds of what is computed once a clip, against a plain step of the whole model."""
    with torch.no_grad():
        model = Model.make(1, 1, device, dtype)
        with torch.device(device):
            adapter = Tora2Adapter(Tora2Config.preset("5b")).to(dtype).eval()
        model = replace(model, adapter=adapter)
        print(f"\nTimed, once a clip, {str(dtype)[6:]}, {device}; a plain step takes {step:.2f} s")
        for entities in ENTITIES:
            taken = []
            for _ in range(repeats + 1):
                start = _now(device)
                model.condition(entities)
                taken.append(_now(device) - start)
            median = statistics.median(taken[1:])
            print(f"  {_name(entities)}: {median:.3f} s, {median / step:.4f} of a step")


def _peaks(model: Model) -> dict[str, int]:
    """Peak memory on the GPU of every arm, each alone there with the weights that it needs."""

    def peak(arm: Callable[[], Any]) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        arm()
        return torch.cuda.max_memory_allocated()

    model.adapter.to("cpu")
    peaks = {"plain": peak(model.plain)}
    model.adapter.to(model.latents.device)
    peaks["published"] = peak(model.published)
    for entities in ENTITIES:
        peaks[_name(entities)] = peak(partial(model.step, model.condition(entities)))
    return peaks


def _spread(model: Model) -> None:
    """The parts that begin at zero, moved away from it: nothing may be cheap for being zero."""
    for module in (*model.adapter.fuser, *model.adapter.cross_attention.values()):
        for parameter in module.parameters():
            parameter.normal_(std=0.02)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _name(entities: int) -> str:
    return (
        "paths alone" if entities == 0 else f"{entities} entities" if entities > 1 else "1 entity"
    )


def _flat(keys_values: Any) -> list[Tensor]:
    return [x for pair in (keys_values or {}).values() for x in pair]


def _bytes(module: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2, help="2 is one clip with guidance")
    parser.add_argument("--count", action="store_true", help="count only, time nothing")
    arguments = parser.parse_args()
    count_arms(arguments.batch)
    if arguments.count:
        return
    if torch.cuda.is_available():
        device, step = "cuda", 0.0
        for fp8 in (True, False):
            step = time_arms(
                LAYERS, arguments.batch, device, torch.bfloat16, arguments.repeats, fp8
            )
    else:
        device = "cpu"
        step = time_arms(2, arguments.batch, device, torch.bfloat16, arguments.repeats)
    time_calls(2, arguments.batch, device, torch.bfloat16, 5, step)
    time_conditioning(device, torch.bfloat16, 5, step)


if __name__ == "__main__":
    main()
