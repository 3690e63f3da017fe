"""One run of customisation: what is shown is encoded once, then the loop, then LoRA files."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ....backbone import load_transformer
from ....backbones import backbone_of
from ....customization.lora import LoraInfo, write_lora
from ....device import resolve_device
from ....model_folder import TINY
from ....model_folder.parts import read_encoding_parts
from ...curves import check_plotting, plot_curves
from ...distributed import World, world
from ...export import DTYPES
from ...folder import run_folder
from ...journal import Journal
from ...loop import Hook, Loop
from ...objectives.customization import CustomizationLoss, CustomizationSettings
from ...optimizer import check_moments, eight_bit
from .clips import Encoder, Examples, Material
from .config import Customization, load_config
from .layers import check_peft, extract, inject, switched_off, trained_by

CHECKPOINTS, LOG = "checkpoints", "log.jsonl"
_PANELS = (("velocity", "velocity loss"), ("debiased", "debiased loss"))


def run(path: Path | str) -> list[Path]:
    """Customise as a YAML configuration says; see `customize`.

    Raises:
        ValueError: if the configuration is malformed.
    """
    return customize(load_config(path))


def customize(config: Customization) -> list[Path]:
    """Train LoRAs, or go on where an earlier run of the same configuration stopped.

    Returns:
        The LoRA files: `motion.safetensors`, `subject.safetensors` or both.

    Raises:
        ValueError: if the configuration cannot be built, a file cannot be used, peft is not
            installed, or the output folder holds another run or is in use.
        OSError: if something cannot be read or written.
        Terminated: after SIGTERM, with a checkpoint of the last step.
    """
    check_peft()
    check_plotting()
    resolve_device(config.device)
    if config.optimization.moments == "8bit":
        eight_bit()
    with world(config.device) as alone, run_folder(config.output, asdict(config)) as output:
        if alone.size > 1:
            raise ValueError(f"customize trains in one process, expected no {alone.size}")
        check_moments(config.optimization, alone.size)
        transformer = load_base(config)
        material = encoded(config, transformer, alone.device)
        infos = lora_infos(config, transformer)
        torch.manual_seed(config.seed)
        inject(transformer, infos)
        loop = make_loop(config, transformer, material, output / CHECKPOINTS, alone)
        journal = Journal(output / LOG)
        journal.cut(loop.step if loop.resume() else 0)
        _train(config, loop, journal)
        with loop.averaged():
            files = export(config, transformer, infos, output)
        plot_curves(journal.read(), output / "curves.png", _PANELS)
    return files


def load_base(config: Customization) -> Any:
    """The transformer, on the CPU and frozen."""
    transformer = load_transformer(_folder(config) / "transformer", DTYPES[config.dtype])
    transformer.requires_grad_(False)
    if config.recompute:
        transformer.enable_gradient_checkpointing()
    return transformer


def encoded(config: Customization, transformer: Any, device: torch.device) -> Material:
    """All that is learned from, on the CPU; what encoded it is let go of."""
    parts = read_encoding_parts(_folder(config), DTYPES[config.dtype])
    for part in (parts.vae, parts.text_encoder):
        part.to(device).eval().requires_grad_(False)
    if config.tiled and hasattr(parts.vae, "enable_tiling"):
        parts.vae.enable_tiling()
    encoder = Encoder(parts, config, backbone_of(transformer).grid, device)
    material = encoder.material(config)
    for examples in vars(material).values():
        if examples is not None:
            backbone_of(transformer).check_size(transformer, *examples.latents.shape[2:])
    del parts, encoder
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return material


def lora_infos(config: Customization, transformer: Any) -> list[LoraInfo]:
    """What each LoRA of a run is."""
    blocks = len(backbone_of(transformer).blocks(transformer))
    width = transformer.config.num_attention_heads * transformer.config.attention_head_dim
    base = f"{backbone_of(transformer).name}, {blocks} blocks of {width} channels"
    infos = []
    for kind in config.kinds:
        one: Any = config.motion if kind == "motion" else config.subject
        infos.append(
            LoraInfo(
                base=base,
                method=kind,
                arm=one.arm,
                rank=one.rank,
                token=one.token,
                video_only=kind == "motion" and config.motion.video_only,
                objective=_objective(config, kind),
            )
        )
    return infos


def make_loop(
    config: Customization, transformer: Any, material: Material, folder: Path, alone: World
) -> Loop:
    """The loop over a transformer's LoRAs."""
    motion, subject, o = config.motion, config.subject, config.optimization
    loss = CustomizationLoss(
        transformer,
        CustomizationSettings(
            motion.debiased, motion.omega, subject.regularization, subject.attention
        ),
        lambda: switched_off(transformer),
    )
    turn = _Turns(transformer, config)

    def source(step: int, generator: torch.Generator) -> str:
        if len(config.kinds) == 1:
            return config.kinds[0]
        now = float(torch.rand((), generator=generator)) < config.motion_share
        return "motion" if now else "subject"

    def draw(examples: Examples | None, generator: torch.Generator) -> Any:
        return None if examples is None else examples.drawn(o.batch, generator).to(alone.device)

    def objective(batch: str, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        turn.now = batch
        if batch == "motion":
            return loss.motion(draw(material.clips, generator), generator)
        shown = (material.pictures, material.regularizing, material.composed)
        pictures, regularizing, composed = (draw(one, generator) for one in shown)
        return loss.subject(pictures, regularizing, composed, generator)

    return Loop(
        nn.ModuleDict({"transformer": transformer}),
        source,
        objective,
        o,
        config.seed,
        alone,
        folder,
        blocks=backbone_of(transformer).blocks(transformer),
    )


class _Turns:
    """Discards the gradients of the LoRA that a step is not for (DualReal's alternation).

    Both act in every step, so each learns beside the other; that neither is moved by what it is
    not for keeps looks out of the motion and motion out of the looks.
    """

    def __init__(self, transformer: Any, config: Customization) -> None:
        self.now: str = config.kinds[0]
        for kind in config.kinds if len(config.kinds) > 1 else ():
            for parameter in trained_by(transformer, kind):
                parameter.register_post_accumulate_grad_hook(self._keep_of(kind))

    def _keep_of(self, kind: str) -> Any:
        def keep(parameter: Tensor) -> None:
            if self.now != kind:
                parameter.grad = None

        return keep


def export(
    config: Customization, transformer: Any, infos: Sequence[LoraInfo], output: Path
) -> list[Path]:
    """Write the LoRAs, with how they were made."""
    files = []
    for info in infos:
        lora = extract(transformer, info, DTYPES[config.export])
        path = output / f"{info.method}.safetensors"
        write_lora(lora, path, {"tora2_training": json.dumps(asdict(config), sort_keys=True)})
        files.append(path)
    return files


def _train(config: Customization, loop: Loop, journal: Journal) -> None:
    o = config.optimization
    with tqdm(total=o.steps, initial=loop.step, desc="customizing", unit="step") as bar:

        def write(step: int, measures: dict[str, float]) -> None:
            bar.update()
            if step % o.log_every == 0 or step in (1, o.steps):
                bar.set_postfix(loss=f"{measures['loss']:.4f}")
                journal.write(step, measures)

        hooks: list[Hook] = [write]
        loop.run(hooks)


def _folder(config: Customization) -> Path:
    return TINY if config.model == "tiny" else Path(config.model)


def _objective(config: Customization, kind: str) -> str:
    motion = config.motion
    if kind == "subject":
        return "pictures, regularised by clips" if config.subject.regularizing else "pictures"
    words = ["velocity"]
    if motion.debiased:
        words.append(f"debiased ({motion.debiased:g})")
    if motion.omega:
        words.append(f"appearance-agnostic (omega {motion.omega:g})")
    return ", ".join(words)
