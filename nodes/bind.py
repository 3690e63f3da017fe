"""Binding pictures, words and paths of a clip, once, before sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..tora2.conditioning import EntityCondition, Tora2Conditioning
from ..tora2.encoders.entity import EncodedEntity
from ..tora2.geometry import COGVIDEOX
from ..tora2.mixing import Entities, Mixture, every_set
from ..tora2.scene import FLOW_LATENTS, MAX_SEED, Flow, Window
from ..tora2.trajectory import Tracks, TrajectoryDocument, sample
from ..tora2.trajectory.flow import FLOW_MODES, flow_map, flow_rgb
from .host import adapters, memory, notes, previews, progress, video, words
from .io_types import (
    AdapterSocket,
    BoundConditioning,
    ConditioningSocket,
    EntitySocket,
    LoadedAdapter,
    TrajectoriesSocket,
)
from .matching import Match, checked, match, owned_tracks, report
from .validation import refusal

MAX_ENTITIES = 64
LATENTS = dict(zip(("mean", "drawn (as Tora)"), FLOW_LATENTS, strict=True))
"""What the user picks, and the `latents` of a `Flow`."""
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
                    f"multiples of {COGVIDEOX.multiple}. Without them nothing is told to move.",
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
                    options=list(LATENTS),
                    default=next(iter(LATENTS)),
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
                io.String.Input(
                    "prompt",
                    optional=True,
                    force_input=True,
                    tooltip="The prompt, from the node whose text also goes to the text encoder. "
                    "Each entity's word is looked for in it before anything is sampled.",
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
        flow_latents: str = next(iter(LATENTS)),
        flow_seed: int = 0,
        tiled: bool = False,
        prompt: str | None = None,
    ) -> io.NodeOutput:
        given = [entity for entity in (entities or {}).values() if entity is not None]
        how = Flow(flow_mode, LATENTS[flow_latents])
        words = checked(given, trajectories, prompt)
        notes.tell(words)  # at once: what follows takes a while
        bound, report, flow = bind(
            adapter, given, trajectories, vae, clip, how, flow_seed, tiled, flow_video
        )
        return io.NodeOutput(bound, "\n".join([report, *words]), flow)


def bind(
    loaded: LoadedAdapter,
    entities: Sequence[EncodedEntity],
    document: TrajectoryDocument | None,
    vae: Any,
    clip: Any,
    how: Flow | None = None,
    seed: int = 0,
    tiled: bool = False,
    flow_video: Tensor | None = None,
) -> tuple[BoundConditioning, str, Tensor]:
    """The conditioning of a clip, the report, and the flow picture [T, H, W, 3] in [0, 1].

    Args:
        loaded, entities, document, vae, clip: what is bound to what; see the node.
        how: paths become latents, as the scene's `sampling.flow` says.
        seed: of latents that are drawn.
        tiled: encode the flow picture in tiles.
        flow_video: [T, H, W, 3] in place of the paths' picture.

    Raises:
        ValueError: if an input is missing, does not suit the adapter or the memory.
    """
    how = how or Flow()
    if "binding" not in loaded.adapter.capabilities:
        clip = None  # words take part in the binding alone
    with progress.steps(_STAGES) as advance:
        matches = every = match(entities, document)
        if clip is None:
            matches = [one for one in matches if one.entity.pictures]
        drawn = None if document is None else sample(document)
        tracks = None if drawn is None else owned_tracks(drawn, matches)
        owners = None if drawn is None else owned_tracks(drawn, every).entity
        dials = [motion_dial(one) for one in every]
        sets = every_set(dials) if owners is not None and set(dials) - {Window()} else []
        if sets and flow_video is not None:
            raise ValueError(
                "an entity's motion dial is set but flow_video gives the motion of all, expected "
                "one or the other"
            )
        flow = latent = size = None
        if flow_video is not None:
            flow = checked_flow(flow_video, document)
        elif document is not None and tracks is not None and len(tracks.entity):
            check_memory(loaded, tracks, max(1, len(sets)))
            flow = flow_picture(document, tracks, how.mode, loaded.flow_sigma)
        advance()
        seed_of_draw = seed if how.latents == "drawn" else None
        if flow is not None:
            latent = motion_latent(loaded, flow, vae, tiled, seed_of_draw)
            size = (flow.shape[2], flow.shape[1], flow.shape[0])
        advance()
        conditions = [entity_condition(loaded, one, clip) for one in matches]
        advance()
        adapter = adapters.on_device(loaded.patcher)
        resting = loaded.patcher.offload_device
        conditioning = Tora2Conditioning.build(adapter, latent, conditions, tracks).to(resting)

        def told(entities: Entities) -> Tora2Conditioning:
            """The conditions with the paths of some entities and the free ones alone."""
            assert document is not None and tracks is not None and owners is not None
            kept = torch.tensor([int(one) == -1 or int(one) in entities for one in owners])
            if kept.all():
                return conditioning
            some, latent = only(tracks, kept), None
            if len(some.entity):
                picture = flow_picture(document, some, how.mode, loaded.flow_sigma)
                latent = motion_latent(loaded, picture, vae, tiled, seed_of_draw)
            running = adapters.on_device(loaded.patcher)  # the VAE may have taken its place
            return Tora2Conditioning.build(running, latent, conditions, some).to(resting)

        mixture = Mixture(tuple(dials), {one: told(one) for one in sets}) if sets else None
        colours = None if latent is None else previews.factors(vae)
        bound = BoundConditioning(conditioning, loaded, size, colours, mixture)
        text = report(matches, document, clip is not None)
        if flow is not None and (extra := video.extra_frames(vae, len(flow))):
            text += (
                f"\nnote: CogVideoX's VAE decodes {len(flow)} frames as {len(flow) + extra}, the "
                f"first {extra} of them too many; {2 * COGVIDEOX.temporal}k + 1 frames, such as "
                "49, come out as they are"
            )
        return bound, text, torch.ones(1, 64, 64, 3) if flow is None else flow


def checked_flow(given: Tensor, document: TrajectoryDocument | None) -> Tensor:
    """A given flow picture [T, H, W, 3] that fits the model and the trajectories."""
    frames, height, width = given.shape[:3]
    COGVIDEOX.check_video(frames, height, width, "flow_video")
    if document is not None and len(document.tracks):
        size = (document.frames, document.height, document.width)
        if size != (frames, height, width):
            raise ValueError(
                f"flow_video is {COGVIDEOX.video_words(frames, height, width)} but the "
                f"trajectories are drawn for {COGVIDEOX.video_words(*size)}; give both one size"
            )
    return given[..., :3]


def motion_dial(one: Match) -> Window:
    """How strongly and when an entity's paths act."""
    entity = one.entity
    return Window(entity.motion_strength, entity.motion_start, entity.motion_end)


def only(tracks: Tracks, kept: Tensor) -> Tracks:
    """Some of the tracks; `kept` is [N] bool."""
    return replace(
        tracks,
        points=tracks.points[kept],
        visible=tracks.visible[kept],
        entity=tracks.entity[kept],
        scale=tracks.scale[kept],
    )


def check_memory(loaded: LoadedAdapter, tracks: Tracks, sets: int = 1) -> None:
    """Refuse paths whose flow, its latents' input and its features do not fit in memory."""
    config = loaded.adapter.config
    pixels = tracks.frames * tracks.height * tracks.width
    features = config.layers * config.feature_dim * loaded.adapter.dtype.itemsize
    tokens = pixels // (COGVIDEOX.temporal * COGVIDEOX.multiple**2)
    bumps = len(tracks.entity) * tracks.frames * (tracks.height + tracks.width)
    memory.check(
        36 * pixels + features * tokens * sets + 40 * bumps,
        f"binding paths of {COGVIDEOX.video_words(tracks.frames, tracks.height, tracks.width)}",
    )


def flow_picture(document: TrajectoryDocument, tracks: Tracks, mode: str, sigma: float) -> Tensor:
    """The coloured flow [T, H, W, 3] in [0, 1] of a document's tracks."""
    width, height = document.width, document.height
    COGVIDEOX.check_video(document.frames, height, width, "the trajectories' video")
    flow = flow_map(tracks, (height, width), mode, sigma=sigma)  # type: ignore[arg-type]
    colors = flow_rgb(flow)
    del flow  # two thirds of the picture's own size
    return colors.movedim(1, -1).float().div_(255)


def motion_latent(
    loaded: LoadedAdapter, flow: Tensor, vae: Any, tiled: bool = False, seed: int | None = None
) -> Tensor:
    """The scaled latents of a flow picture; `seed` and `tiled` as in `video.encode`."""
    if vae is None:
        raise ValueError("the trajectories need a VAE, expected a connection to the input vae")
    latents = video.encode(vae, flow, tiled, seed)
    return video.scale(latents, loaded.adapter.config.dim, vae)


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
    window = (one.entity.start, one.entity.end)
    return EntityCondition(one.entity.pictures, word, one.entity.strength, window)
