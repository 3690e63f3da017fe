"""Binding pictures, words and paths of a clip, once, before sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..tora2.conditioning import EntityCondition, Tora2Conditioning
from ..tora2.encoders.entity import EncodedEntity
from ..tora2.trajectory import Tracks, TrajectoryDocument, sample
from ..tora2.trajectory.flow import flow_map, flow_rgb
from .host import adapters, progress, video, words
from .io_types import (
    AdapterSocket,
    BoundConditioning,
    ConditioningSocket,
    EntitySocket,
    LoadedAdapter,
    TrajectoriesSocket,
)
from .matching import Match, match, owned_tracks, report
from .validation import refusal

MAX_ENTITIES = 64
FLOW_MODES = ("subpixel", "tora")
FLOW_LATENTS = ("mean", "drawn (as Tora)")
MAX_SEED = 2**63 - 1
_STAGES = 4


class Tora2Bind(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        slot = EntitySocket.Input(
            "entity", optional=True, tooltip="An entity: its pictures, word and strength."
        )
        return io.Schema(
            node_id="Tora2Bind",
            display_name="Tora2 Bind",
            category="Tora2/conditioning",
            description="Binds each entity's pictures and word to its paths. Runs once a clip; the "
            "report says what was bound to what.",
            search_aliases=["tora encode trajectory", "entity binding", "motion conditioning"],
            inputs=[
                AdapterSocket.Input("adapter", tooltip="From Tora2 Load Adapter or Load Tiny."),
                TrajectoriesSocket.Input(
                    "trajectories",
                    optional=True,
                    tooltip="The paths. Their size and frames are those of the video; sides are "
                    "multiples of 16. Without them nothing is told to move.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="CogVideoX's VAE, which encodes the paths. Needed with trajectories.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="CogVideoX's text encoder, which encodes the entity words. Without it "
                    "words are not bound.",
                ),
                io.Autogrow.Input(
                    "entities",
                    io.Autogrow.TemplatePrefix(slot, prefix="entity", min=0, max=100),
                    optional=True,
                    tooltip="Entities, as many as needed (64 at most). Each owns the paths of the "
                    "entity of the same name in the trajectories.",
                ),
                io.Combo.Input(
                    "flow_mode",
                    options=list(FLOW_MODES),
                    default=FLOW_MODES[0],
                    advanced=True,
                    tooltip="How paths are drawn for the model: at their exact positions, or at "
                    "whole pixels as Tora's code does.",
                ),
                io.Image.Input(
                    "flow_video",
                    optional=True,
                    tooltip="A coloured optical flow to follow in place of drawn paths, such as "
                    "that of another video. The trajectories then only bind the entities.",
                ),
                io.Combo.Input(
                    "flow_latents",
                    optional=True,
                    options=list(FLOW_LATENTS),
                    default=FLOW_LATENTS[0],
                    advanced=True,
                    tooltip="What of the VAE's distribution the paths become: its mean, which is "
                    "the same in every run, or a draw with a seed, as Tora's code takes.",
                ),
                io.Int.Input(
                    "flow_seed",
                    optional=True,
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    advanced=True,
                    tooltip="Of the draw; without effect on the mean.",
                ),
                io.Boolean.Input(
                    "tiled",
                    optional=True,
                    default=False,
                    advanced=True,
                    tooltip="Encode the paths in tiles of 360x240, which needs less memory and "
                    "changes the latents a little. Short memory does so by itself, with a warning.",
                ),
            ],
            outputs=[
                ConditioningSocket.Output(display_name="conditioning", tooltip="For Tora2 Apply."),
                io.String.Output(
                    display_name="report",
                    tooltip="Which pictures, word and tracks were bound to each entity.",
                ),
                io.Image.Output(
                    display_name="flow",
                    tooltip="The paths as the model sees them: hue is direction, saturation speed.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        def few_enough() -> None:
            count = len(inputs.get("entities") or {})
            if count > MAX_ENTITIES:
                raise ValueError(
                    f"entities has {count} connections, expected at most {MAX_ENTITIES}"
                )

        return refusal(cls, inputs, few_enough)

    @classmethod
    def execute(
        cls,
        adapter: LoadedAdapter,
        trajectories: TrajectoryDocument | None = None,
        vae: Any = None,
        clip: Any = None,
        entities: dict[str, EncodedEntity | None] | None = None,
        flow_mode: str = FLOW_MODES[0],
        flow_video: Tensor | None = None,
        flow_latents: str = FLOW_LATENTS[0],
        flow_seed: int = 0,
        tiled: bool = False,
    ) -> io.NodeOutput:
        given = [entity for entity in (entities or {}).values() if entity is not None]
        seed = None if flow_latents == FLOW_LATENTS[0] else flow_seed
        how = FlowEncoding(flow_mode, seed, tiled)
        return io.NodeOutput(*bind(adapter, given, trajectories, vae, clip, how, flow_video))


@dataclass(frozen=True)
class FlowEncoding:
    """How paths become latents.

    Attributes:
        mode: one of `FLOW_MODES`.
        seed: draws from the VAE's posterior; None takes its mean.
        tiled: encode in tiles of the picture.
    """

    mode: str = FLOW_MODES[0]
    seed: int | None = None
    tiled: bool = False


def bind(
    loaded: LoadedAdapter,
    entities: Sequence[EncodedEntity],
    document: TrajectoryDocument | None,
    vae: Any,
    clip: Any,
    how: FlowEncoding,
    flow_video: Tensor | None = None,
) -> tuple[BoundConditioning, str, Tensor]:
    """The conditioning of a clip, the report, and the flow picture [T, H, W, 3] in [0, 1].

    Raises:
        ValueError: if an input is missing or does not suit the adapter.
    """
    if "binding" not in loaded.adapter.capabilities:
        clip = None  # words take part in the binding alone
    with progress.steps(_STAGES) as advance:
        matches = match(entities, document)
        if clip is None:
            matches = [one for one in matches if one.entity.pictures]
        tracks = None if document is None else owned_tracks(sample(document), matches)
        flow = latent = size = None
        if flow_video is not None:
            flow = checked_flow(flow_video, document)
        elif document is not None and tracks is not None and len(tracks.entity):
            flow = flow_picture(document, tracks, how.mode, loaded.flow_sigma)
        advance()
        if flow is not None:
            latent = motion_latent(loaded, flow, vae, how)
            size = (flow.shape[2], flow.shape[1], flow.shape[0])
        advance()
        conditions = [entity_condition(loaded, one, clip) for one in matches]
        advance()
        adapter = adapters.on_device(loaded.patcher)
        conditioning = Tora2Conditioning.build(adapter, latent, conditions, tracks)
        bound = BoundConditioning(conditioning.to(loaded.patcher.offload_device), loaded, size)
        text = report(matches, document, clip is not None)
        if flow is not None and (extra := video.extra_frames(vae, len(flow))):
            text += (
                f"\nnote: CogVideoX's VAE decodes {len(flow)} frames as {len(flow) + extra}, the "
                f"first {extra} of them too many; 8k + 1 frames, such as 49, come out as they are"
            )
        return bound, text, torch.ones(1, 64, 64, 3) if flow is None else flow


def checked_flow(video: Tensor, document: TrajectoryDocument | None) -> Tensor:
    """A given flow picture [T, H, W, 3] that fits the model and the trajectories."""
    frames, height, width = video.shape[:3]
    if frames % 4 != 1 or width % 16 or height % 16:
        raise ValueError(
            f"flow_video has {frames} frames at {width}x{height}, "
            "expected 4k + 1 frames and sides that are multiples of 16"
        )
    if document is not None and len(document.tracks):
        size = (document.frames, document.height, document.width)
        if size != (frames, height, width):
            raise ValueError(
                f"flow_video has {frames} frames at {width}x{height} but the trajectories are "
                f"drawn for {size[0]} at {size[2]}x{size[1]}; give both one size"
            )
    return video[..., :3]


def flow_picture(document: TrajectoryDocument, tracks: Tracks, mode: str, sigma: float) -> Tensor:
    """The coloured flow [T, H, W, 3] in [0, 1] of a document's tracks."""
    width, height = document.width, document.height
    if width % 16 or height % 16:
        raise ValueError(
            f"the trajectories are drawn for {width}x{height}, expected multiples of 16: set the "
            "size of the video in the editor"
        )
    flow = flow_map(tracks, (height, width), mode, sigma=sigma)  # type: ignore[arg-type]
    return flow_rgb(flow).movedim(1, -1).float() / 255


def motion_latent(loaded: LoadedAdapter, flow: Tensor, vae: Any, how: FlowEncoding) -> Tensor:
    """The scaled latents of a flow picture."""
    if vae is None:
        raise ValueError("the trajectories need a VAE, expected a connection to the input vae")
    latents = video.encode(vae, flow, how.tiled, how.seed)
    return video.scale(latents, loaded.adapter.config.dim)


def entity_condition(loaded: LoadedAdapter, one: Match, clip: Any) -> EntityCondition:
    """What the adapter reads of an entity."""
    word = None
    if clip is not None and one.entity.word:
        word = words.encode_word(clip, one.entity.word)
        width = loaded.adapter.config.word_dim
        if word.shape[-1] != width:
            raise ValueError(
                f"the text encoder gives {word.shape[-1]} channels but the adapter "
                f"{loaded.name} reads {width}: load the text encoder of its base model"
            )
    return EntityCondition(one.entity.pictures, word, one.entity.strength)
