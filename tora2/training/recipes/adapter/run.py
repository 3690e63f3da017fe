"""One training run of an adapter: stages one after the other, videos on the way, a file at last."""

from __future__ import annotations

import gc
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ....backbones import backbone_of
from ....conditioning import Tora2Conditioning
from ....data.encoded import EncodedBatch, EncodedClips
from ....device import resolve_device
from ....files import atomic_path
from ....models.adapter import Tora2Adapter
from ....trajectory import Tracks
from ...boards import Boards
from ...curves import PANELS, check_plotting, plot_curves
from ...distributed import World, world
from ...export import (
    DTYPES,
    export_adapter,
    fingerprint,
    read_state,
    whole_state,
    write_state,
)
from ...folder import shared_folder
from ...journal import Journal
from ...loop import Hook, Loop
from ...objectives.denoising import Denoising, Prepared
from ...optimizer import check_moments, eight_bit
from ...validation import Sampled, first_frame, followed, hues_of, sample_encoded
from .config import AdapterTraining, Stage, load_config
from .model import adapter_config, check_clips, load_base, load_vae, new_adapter
from .motion import drawn_latents, tracks_of
from .parts import train_only
from .source import AdapterSource, Drawn

log = logging.getLogger(__name__)

ADAPTER = "adapter.safetensors"
CHECKPOINTS = "checkpoints"
STAGES = "stages"
LOG = "log.jsonl"
STARTED = "started_from.txt"
VIDEOS = "validation"
_PANELS = (*PANELS[:-1], ("trajectory_error", "TrajError of validation clips, pixels"))


def run(path: Path | str) -> Path:
    """Train as a YAML configuration says; see `train`.

    Raises:
        ValueError: if the configuration is malformed.
    """
    return train(load_config(path))


def train(config: AdapterTraining) -> Path:
    """Train an adapter, or go on where an earlier run of the same configuration stopped.

    Returns:
        The adapter's file.

    Raises:
        ValueError: if the configuration cannot be built, the output folder holds a run of another
            one or is in use, or a file that it names is damaged.
        OSError: if something cannot be read or written.
        Terminated: after SIGTERM, with a checkpoint of the last step.
    """
    resolve_device(config.device)
    check_plotting()
    if config.optimization.moments == "8bit":
        eight_bit()
    with world(config.device) as us:
        check_moments(config.optimization, us.size)
        with shared_folder(config.output, asdict(config), us) as output:
            Run(config, output, us).train()
            return output / ADAPTER


@dataclass(frozen=True, eq=False)
class Model:
    """What a stage works with; the autoencoder is on the device, the rest goes there by the loop.

    Attributes:
        transformer, vae: frozen.
        adapter: of which some parts are trained.
    """

    transformer: Any
    vae: Any
    adapter: Tora2Adapter


class Run:
    """A run in its folder, in one process of `us`."""

    def __init__(self, config: AdapterTraining, output: Path, us: World) -> None:
        self.config, self.output, self.us = config, output, us
        self.clips = EncodedClips(config.clips)
        validation = config.validation
        self.shown = self.clips
        if validation.folder is not None:
            self.shown = EncodedClips(validation.folder)
            made = {k: v for k, v in vars(self.clips.config).items() if k not in ("seed", "flow")}
            self.shown.config.require(**{k: v for k, v in made.items() if k != "augmentations"})
        self.data = fingerprint(self.clips.keys, vars(self.clips.config))
        self.journal = Journal(output / LOG)

    def train(self) -> None:
        """All stages that are left, and the finished adapter."""
        before = 0
        start: Path | None = None
        boards = None
        if self.us.first:
            boards = Boards(
                self.output, self.config.tensorboard, self.config.wandb, asdict(self.config)
            )
        try:
            for place, stage in enumerate(self.config.stages):
                result = self.output / STAGES / f"{place + 1}-{stage.name}.safetensors"
                steps = self.config.stage_optimization(stage).steps
                self.us.wait()
                if not result.exists():
                    self._stage(place, stage, start, before, result, boards)
                start, before = result, before + steps
        finally:
            if boards is not None:
                boards.close()
        self.us.wait()

    def _stage(
        self,
        place: int,
        stage: Stage,
        start: Path | None,
        before: int,
        result: Path,
        boards: Boards | None,
    ) -> None:
        model = self.model(start)
        source = self.source(stage, before)
        try:
            loop = self.loop(place, stage, model, source)
            resumed = loop.resume()
            if self.us.first:
                self.journal.cut(before + loop.step)
            if not resumed and before == 0 and self.config.validation.every:
                self._look(0, loop, model)
            self._run(place, stage, before, loop, model, boards)
            state = whole_state(model.adapter)
            with loop.averaged():
                averaged = whole_state(model.adapter)
        finally:
            source.close()
        if self.us.first:
            export_adapter(
                model.adapter,
                averaged,
                self.output / ADAPTER,
                DTYPES[self.config.export],
                asdict(self.config),
                self.data,
                self.config.motion.sigma,
            )
            self._plot()
            write_state(state, result)
        del loop, model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def model(self, start: Path | None) -> Model:
        transformer, vae = load_base(self.config.base), load_vae(self.config.base)
        sizes = adapter_config(self.config, transformer, self.clips)
        check_clips(self.clips, transformer, vae, sizes)
        grid = backbone_of(transformer).grid
        if start is None:
            adapter, taken = new_adapter(self.config, sizes, grid)
            if taken and self.us.first:
                with atomic_path(self.output / STARTED) as file:
                    file.write_text("".join(one.words() + "\n" for one in taken), encoding="utf-8")
        else:
            adapter = Tora2Adapter(sizes, grid)
            read_state(adapter, start)
        return Model(transformer, vae.to(self.us.device), adapter)

    def source(self, stage: Stage, before: int) -> AdapterSource:
        first = before * self.config.optimization.accumulate
        return AdapterSource(self.config, stage, self.clips, self.us, first)

    def loop(self, place: int, stage: Stage, model: Model, source: AdapterSource) -> Loop:
        """The loop of a stage over the frozen transformer and what it trains of the adapter."""
        config, o = self.config, self.config.stage_optimization(stage)
        train_only(model.adapter, stage.train)
        parts = nn.ModuleDict({"transformer": model.transformer, "adapter": model.adapter})
        objective = Denoising(
            model.transformer,
            lambda drawn, generator: self.prepare(model, drawn),
            config.losses(stage),
            self.us,
            model.adapter.config.contrastive_dim,
        )
        rates = {
            ".gate_": o.gate_learning_rate,
            "adapter.extractor.": o.pretrained_learning_rate,
            "adapter.fuser.": o.pretrained_learning_rate,
        }
        return Loop(
            parts,
            source,
            objective,
            o,
            config.seed * 1009 + place,
            self.us,
            self.output / CHECKPOINTS / f"{place + 1}-{stage.name}",
            rates,
            backbone_of(model.transformer).blocks(model.transformer),
            reach_all=True,
        )

    def prepare(self, model: Model, drawn: Drawn) -> Prepared:
        """What the model sees of this process's clips."""
        clips = drawn.clips.to(self.us.device)
        latents = clips.latents(drawn.noise.to(self.us.device))
        paths = None if drawn.paths is None else list(drawn.paths)
        conditioning = self.conditions(model, clips, drawn.moving, paths)
        image = first_frame(model.transformer, latents)
        return Prepared(latents, clips.context, conditioning, image=image)

    def conditions(
        self,
        model: Model,
        clips: EncodedBatch,
        moving: Tensor | None = None,
        paths: list[Tracks] | None = None,
    ) -> Tora2Conditioning | None:
        """Conditioning of clips, the motion being what the configuration draws it from.

        Args:
            clips: on the device.
            moving: [B] bool, which clips kept their motion; None for all.
            paths: of each clip, in place of its own tracks.
        """
        adapter, source, made = model.adapter, self.config.motion, self.clips.config
        able = adapter.capabilities
        motion = mask = None
        if "motion" in able:
            kept = torch.ones(len(clips), dtype=torch.bool) if moving is None else moving
            if source.source == "dense":
                motion = clips.flow_latents()
                mask = kept
            else:
                size = (made.height, made.width)
                drawn = tracks_of(clips, size) if paths is None else paths
                drawn = [_placed(t, self.us.device) for t in drawn]
                mask = kept & torch.tensor([len(tracks.entity) > 0 for tracks in drawn])
                motion = self.pictured(drawn, model)
            if not bool(mask.any()):
                motion = None
            mask = mask.to(self.us.device)
        entities = None
        if "appearance" in able:
            entities = clips.entities()
            # Tracks are gathered from the motion features, which need a motion latent.
            seen = torch.zeros(len(clips), dtype=torch.bool, device=self.us.device)
            if motion is not None and mask is not None:
                seen = mask
            entities = entities._replace(track_mask=entities.track_mask & seen[:, None, None])
            if "binding" not in able:
                entities = entities._replace(word_mask=torch.zeros_like(entities.word_mask))
        if motion is None and entities is None:
            return None
        weight = None if motion is None or mask is None else mask.float()
        return Tora2Conditioning.from_batch(adapter, motion, entities, weight)

    def pictured(self, paths: list[Tracks], model: Model) -> Tensor | None:
        """The latents of tracks' flow pictures; see `drawn_latents`."""
        return drawn_latents(paths, self.config.motion, model.vae)

    def _run(
        self,
        place: int,
        stage: Stage,
        before: int,
        loop: Loop,
        model: Model,
        boards: Boards | None,
    ) -> None:
        total = self.config.stage_optimization(stage).steps
        with tqdm(
            total=total,
            initial=loop.step,
            desc=stage.name,
            unit="step",
            smoothing=0.05,
            disable=not self.us.first,
        ) as bar:
            hooks: list[Hook] = [self._watch(before, total, loop, model, bar)]
            if boards is not None:
                hooks.append(self._write(place, before, total, boards, bar))
            loop.run(hooks)

    def _watch(self, before: int, total: int, loop: Loop, model: Model, bar: Any) -> Hook:
        """Sample clips now and then, all processes together."""
        every = self.config.validation.every
        last = before + total == self.config.steps

        def watch(step: int, measures: dict[str, float]) -> None:
            place = before + step
            if every and (place % every == 0 or (last and step == total)):
                error = self._look(place, loop, model)
                if error is not None:
                    measures["trajectory_error"] = error
                    bar.write(f"step {place}: TrajError {error:.2f} pixels")
                if self.us.first:
                    self._plot()

        return watch

    def _write(self, place: int, before: int, total: int, boards: Boards, bar: Any) -> Hook:
        """Show progress, and log now and then and whatever was measured."""
        every = self.config.optimization.log_every

        def write(step: int, measures: dict[str, float]) -> None:
            bar.update()
            if step % every == 0 or step in (1, total) or "trajectory_error" in measures:
                bar.set_postfix(loss=f"{measures['loss']:.4f}")
                row = {**measures, "stage": place + 1}
                self.journal.write(before + step, row)
                boards.write(before + step, row)

        return write

    def _look(self, step: int, loop: Loop, model: Model) -> float | None:
        """Write the videos of the validation clips; their mean TrajError, if it can be told."""
        count = min(self.config.validation.clips, len(self.shown))
        errors = []
        with loop.averaged():
            for row in range(count):
                sampled = loop.using(lambda row=row: self.sample(model, row))  # type: ignore[misc]
                if self.us.first:
                    path = self.output / VIDEOS / f"step-{step:06d}-{sampled.key}.mp4"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    sampled.write(path, min(max(self.shown.config.fps, 1.0), 60.0))
                errors.append(sampled.error())
        known = torch.tensor([error for error in errors if error == error])
        return float(known.mean()) if len(known) else None

    def sample(self, model: Model, row: int) -> Sampled:
        """A validation clip with all of its conditions, as the model makes it."""
        validation, made = self.config.validation, self.shown.config
        clip = self.shown.load(row).to(self.us.device)
        [frames] = sample_encoded(
            model.transformer,
            model.vae,
            clip,
            lambda clips: self.conditions(model, clips),
            self.shown.empty,
            validation.steps,
            validation.guidance,
            validation.seed,
            self.config.optimization.precision == "bf16",
        )
        [tracks] = tracks_of(clip.to("cpu"), (made.height, made.width))
        measured = None
        if validation.tracker == "colour":
            measured = followed(frames, tracks, hues_of(self.shown, row))
        return Sampled(self.shown.keys[row], frames, tracks, measured)

    def _plot(self) -> None:
        plot_curves(self.journal.read(), self.output / "curves.png", _PANELS)


def _placed(tracks: Tracks, device: torch.device) -> Tracks:
    return Tracks(
        tracks.points.to(device),
        tracks.visible.to(device),
        tracks.entity.to(device),
        tracks.width,
        tracks.height,
        tracks.frames,
    )
