"""The paper's sampling in one node."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .host.sampling import GUIDANCE_MODES, sample
from .validation import refusal


class Tora2Sampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2Sampler",
            display_name="Tora2 Sampler",
            category="Tora2/sampling",
            description="CogVideoX's own sampling as the paper uses it: SDE-DPM-Solver++ 2M on "
            "trailing timesteps, 50 steps, guidance 6. KSampler works as well.",
            search_aliases=["cogvideox sampler", "ksampler", "dpm", "dynamic cfg"],
            inputs=[
                io.Model.Input("model", tooltip="From Tora2 Apply, or a CogVideoX model alone."),
                io.Conditioning.Input("positive", tooltip="The prompt."),
                io.Latent.Input("latent", tooltip="An empty video latent, or one to start from."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Of the noise at the start and in the steps.",
                ),
                io.Int.Input(
                    "steps", default=50, min=1, max=1000, tooltip="Denoising steps; the paper's 50."
                ),
                io.Float.Input(
                    "guidance",
                    default=6.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance by the prompt; the paper's 6. 1 is none and twice as fast.",
                ),
                io.Combo.Input(
                    "guidance_mode",
                    options=list(GUIDANCE_MODES),
                    default=GUIDANCE_MODES[0],
                    tooltip="Constant; rising from 1 over the steps; or as CogVideoX's and Tora's "
                    "code computes it, which jumps about but gives their numbers.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Part of the noise schedule to run; below 1 keeps some of the latent.",
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="What to guide away from, such as an empty prompt. Without it there is "
                    "no guidance.",
                ),
            ],
            outputs=[io.Latent.Output(tooltip="The denoised video.")],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        latent: dict[str, Any],
        seed: int,
        steps: int,
        guidance: float,
        guidance_mode: str,
        denoise: float = 1.0,
        negative: Any = None,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            sample(
                model,
                latent,
                positive,
                negative,
                steps=steps,
                guidance=guidance,
                mode=guidance_mode,
                seed=seed,
                denoise=denoise,
            )
        )
