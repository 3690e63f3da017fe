"""Where an adapter's batches come from: clips of a set and its cache, with conditions dropped."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from ....data.drawing import Tolerance, rows_of_step
from ....data.encoded import EncodedBatch, EncodedClips
from ....data.flow import FlowEstimator, dense_flow, load_estimator
from ....data.window import choose_window
from ....encoders.pictures import covering
from ....trajectory import Tracks
from ...distributed import World
from ...drops import EntityDrops, drop_encoded
from .config import AdapterTraining, Stage
from .motion import sparse_tracks


@dataclass(frozen=True, eq=False)
class Drawn:
    """What one process sees in a step.

    Attributes:
        clips: B of them, without what was dropped.
        moving: [B] bool, which clips kept their motion.
        noise: [B, C, T, h, w] of the latents' distribution.
        paths: tracks of each clip that were drawn from its flow, or None.
    """

    clips: EncodedBatch
    moving: Tensor
    noise: Tensor
    paths: tuple[Tracks, ...] | None = None


class AdapterSource:
    """Batches as a function of the seed and the step alone, the next one read ahead.

    Args:
        config: of the run.
        stage: the part of the run.
        clips: the set.
        world: the processes; each reads its share.
        first: the batches of the stages before.

    Raises:
        ValueError: if the clips of a step cannot be shared out evenly.
    """

    def __init__(
        self, config: AdapterTraining, stage: Stage, clips: EncodedClips, world: World, first: int
    ) -> None:
        o = config.optimization
        self.count = world.part(o.batch, o.accumulate)
        self.config, self.clips, self.world, self.first = config, clips, world, first
        self.drops: EntityDrops = stage.drops
        self.mine = world.mine(self.count)
        self._tolerance = Tolerance(self._load, len(clips), config.damaged)
        self._estimator: FlowEstimator | None = None
        if config.motion.source == "sparse":
            self._estimator = load_estimator(config.motion.estimator, config.motion.weights)
        self._places = {row.key: place for place, row in enumerate(clips.clips.rows)}
        self._generator = torch.Generator()
        self._reader = ThreadPoolExecutor(1, "clips")
        self._ahead: dict[int, Future[Drawn]] = {}

    def __call__(self, step: int, generator: torch.Generator) -> Drawn:
        """This process's share of a batch; the loop's generator is left alone."""
        waiting = self._ahead.pop(step, None)
        drawn = self._draw(step) if waiting is None else waiting.result()
        self._ahead = {step + 1: self._reader.submit(self._draw, step + 1)}
        return drawn

    def close(self) -> None:
        """Stop reading ahead."""
        self._reader.shutdown(cancel_futures=True)

    def _draw(self, step: int) -> Drawn:
        place = self.first + step
        rows = rows_of_step(self.config.seed, place, self.count, len(self.clips))
        generator = torch.Generator().manual_seed(self.config.seed * 2_000_003 + place)
        seeds = torch.randint(1 << 62, (self.count,), generator=generator).tolist()
        parts, noise, paths = [], [], []
        for row, seed in zip(rows[self.mine], seeds[self.mine], strict=True):
            self._generator.manual_seed(seed)
            clip, flow = self._tolerance.load(row)
            parts.append(clip)
            noise.append(torch.randn(clip.mean.shape, generator=self._generator))
            if flow is not None:
                paths.append(sparse_tracks(flow, self.config.motion, self._generator))
        clips, moving = drop_encoded(
            self.clips.collate(parts),
            self.drops,
            self.clips.empty,
            generator,
            self.mine,
            self.count,
        )
        return Drawn(
            clips, moving, torch.cat(noise), tuple(paths) if self._estimator is not None else None
        )

    def _load(self, row: int) -> tuple[EncodedBatch, Tensor | None]:
        clip = self.clips.load(row, self._generator)
        if self._estimator is None:
            return clip, None
        return clip, dense_flow(self._estimator, self._frames(row))

    def _frames(self, row: int) -> Tensor:
        """uint8 [T, 3, H, W] of a clip's window, in the size of the cache."""
        made = self.clips.config
        index = self._places[self.clips.keys[row]]
        record = self.clips.clips.record(index)
        window = choose_window(record, made.frames, made.fps)
        frames = self.clips.clips.frames(index)[window.start : window.stop : window.stride]
        size = (made.height, made.width)
        (rows, columns), (top, left) = covering((record.height, record.width), size)
        video = torch.nn.functional.interpolate(
            frames.movedim(-1, 1).float(), (rows, columns), mode="bicubic", antialias=True
        )
        video = video[..., top : top + made.height, left : left + made.width]
        return video.clamp(0, 255).round().to(torch.uint8)
