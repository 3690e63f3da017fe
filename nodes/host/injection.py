"""Tora2's two calls in every block of a video model of the host, through the ModelPatcher alone.

Which modules of a block they go through, `seams` says. Between runs nothing is held on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP

from ...tora2.conditioning import Tora2Conditioning
from ...tora2.mixing import Mixture
from ..io_types import BoundConditioning
from . import previews
from .seams import Seam, blocks_of
from .windows import Window, strength_at

KEY = "tora2"
WITHOUT = "tora2_without"
"""In the transformer options: which of `motion` and `appearance` one run goes without."""


def inject(
    model: ModelPatcher, bound: BoundConditioning, motion: Window, appearance: Window
) -> ModelPatcher:
    """A clone of `model` that follows a bound conditioning; `model` itself stays as it is.

    A model of another loader than ours is corrected on the way.

    Raises:
        ValueError: if the adapter was made for another transformer.
    """
    check_fits(model, bound)
    blocks = blocks_of(model.model.diffusion_model)
    patched = blocks.correct(model)
    previews.show(patched, bound.colours)
    injection = Injection(model, bound, motion, appearance)
    for layer in range(bound.conditioning.adapter.config.layers):
        for place, seam in blocks.seams.items():
            name = f"diffusion_model.blocks.{layer}.{place}.forward"
            previous = patched.object_patches.get(name)
            patched.add_object_patch(name, injection.through(seam, layer, place, previous))
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, injection.run)
    patched.add_callback_with_key(CallbacksMP.ON_PRE_RUN, KEY, injection.place)
    patched.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, injection.release)
    others = patched.get_additional_models_with_key(KEY)
    patched.set_additional_models(KEY, [*others, bound.adapter.patcher])
    return patched


def check_fits(model: ModelPatcher, bound: BoundConditioning) -> None:
    """Refuse an adapter of another width, depth or latent geometry, and models without seams."""
    transformer = model.model.diffusion_model
    grid, count = blocks_of(transformer).grid, len(transformer.blocks)
    config = bound.conditioning.adapter.config
    if (config.layers, config.dim) != (count, transformer.dim):
        raise ValueError(
            f"the adapter {bound.adapter.name} was made for {config.layers} blocks of "
            f"{config.dim} channels but the model has {count} blocks of {transformer.dim}"
        )
    if bound.conditioning.adapter.grid != grid:
        raise ValueError(
            f"the adapter {bound.adapter.name} was made for latents of the geometry "
            f"{bound.conditioning.adapter.grid}, expected {grid}"
        )


class Injection:
    """What one Tora2Apply adds to a MODEL and to the clones made of it."""

    def __init__(
        self, model: ModelPatcher, bound: BoundConditioning, motion: Window, appearance: Window
    ) -> None:
        self.bound = bound
        self.motion = motion
        self.appearance = appearance
        self.current: Tora2Conditioning | None = None
        self._placed: Tora2Conditioning | None = None
        self._mixture: Mixture | None = None
        self._mixed: tuple[tuple[float, ...], Tora2Conditioning] | None = None
        self._adopt(model.model)

    def _adopt(self, model: Any) -> None:
        """Know a model's own norms; the host may move a patcher onto another copy of its model."""
        self._model = model
        blocks = blocks_of(model.diffusion_model)
        self._grid = blocks.grid
        self._modules = {
            place: [block.get_submodule(place) for block in model.diffusion_model.blocks]
            for place in blocks.seams
        }

    def place(self, patcher: ModelPatcher) -> None:
        """Move the conditions to the device that the model runs on, once a run."""
        device, mixture = patcher.load_device, self.bound.mixture
        if mixture is None:
            self._placed = self.bound.conditioning.to(device)
        else:
            self._mixture = mixture.to(device)

    def release(self, patcher: ModelPatcher) -> None:
        """Let go of all that was placed."""
        self._placed = self._mixture = self._mixed = None

    def _at(self, level: float, model: Any, device: torch.device) -> Tora2Conditioning:
        """The conditions of a noise level: what entities' own dials say of their paths."""
        mixture = self.bound.mixture
        if mixture is None:
            return self._placed or self.bound.conditioning.to(device)
        strengths = tuple(strength_at(one, level, model.model_sampling) for one in mixture.dials)
        if self._mixed is None or self._mixed[0] != strengths:
            self._mixed = None  # before the next takes its memory
            self._mixed = (strengths, (self._mixture or mixture.to(device)).at(strengths))
        return self._mixed[1]

    def run(
        self,
        executor: Any,
        x: torch.Tensor,
        sigma: torch.Tensor,
        c_concat: Any,
        c_crossattn: Any,
        control: Any,
        transformer_options: dict[str, Any],
        **kwargs: Any,
    ) -> torch.Tensor:
        """The host's apply_model with the conditions of this noise level and window in place."""
        model = executor.class_obj
        level = float(sigma.max())
        conditioning = self._at(level, model, x.device)
        if conditioning.windows is not None:
            acting = [
                bool(strength_at(Window(1.0, *one), level, model.model_sampling))
                for one in conditioning.windows
            ]
            conditioning = conditioning.among(acting)
        without = transformer_options.get(WITHOUT, ())
        conditioning = conditioning.scaled(
            *(
                0.0 if kind in without else strength_at(window, level, model.model_sampling)
                for kind, window in (("motion", self.motion), ("appearance", self.appearance))
            )
        )
        window = transformer_options.get("context_window")
        if window is not None:
            conditioning = conditioning.window(window_frames(window))
        self._check_latent(x, conditioning)
        if model is not self._model:
            self._adopt(model)
        self.current = conditioning
        try:
            return executor(x, sigma, c_concat, c_crossattn, control, transformer_options, **kwargs)
        finally:
            self.current = None

    def _check_latent(self, x: torch.Tensor, conditioning: Tora2Conditioning) -> None:
        if conditioning.features is None:
            return
        frames, height, width = x.shape[2:]
        rows, columns = (-(-side // self._grid.patch) for side in (height, width))  # padded
        tokens = (frames, rows, columns)
        if tokens != (conditioning.frames, *conditioning.features[0].shape[-2:]):
            assert self.bound.size is not None
            bound_width, bound_height, bound_frames = self.bound.size
            raise ValueError(
                f"the latent is {self._grid.latent_words(frames, height, width)} but the "
                "trajectories are bound at "
                f"{self._grid.video_words(bound_frames, bound_height, bound_width)}; "
                "give both one size"
            )

    def through(
        self, seam: Seam, layer: int, place: str, previous: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        """A module's forward with the conditions of the run that is on, if one is."""

        def forward(*given: Any, **named: Any) -> Any:
            own = previous or self._own_forward(layer, place)
            if self.current is None:
                return own(*given, **named)
            return seam(self.current, layer, own, *given, **named)

        return forward

    def _own_forward(self, layer: int, place: str) -> Callable[..., Any]:
        module = self._modules[place][layer]
        return type(module).forward.__get__(module)


def window_frames(window: Any) -> list[int]:
    """Latent frames of one of the host's context windows, its causal anchor first."""
    anchor = getattr(window, "causal_anchor_index", None)
    frames = list(window.index_list)
    return frames if anchor is None or anchor < 0 else [anchor, *frames]
