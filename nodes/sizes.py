"""One size for the paths and the video: given on from the paths, and compared where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from comfy_api.latest import io

from ..tora2.geometry import COGVIDEOX
from ..tora2.trajectory import TrajectoryDocument, parse
from .host import video
from .io_types import TrajectoriesSocket
from .validation import refusal

Prompt = Mapping[str, Any]
Size = tuple[int, int, int]

EDITOR, APPLY = "Tora2TrajectoryEditor", "Tora2Apply"
_PREVIEW = 2
_LATENTS = ("latent", "latent_image")
_FRAMES = ("frames", "length", "num_frames", "video_frames")


class Tora2EmptyVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2EmptyVideo",
            display_name="Tora2 Empty Video",
            category="Tora2/sampling",
            description="An empty latent of the size and length that the paths were drawn for, so "
            "that both are set in one place: in the editor.",
            search_aliases=["empty latent video", "cogvideox latent", "video size"],
            inputs=[
                TrajectoriesSocket.Input("trajectories", tooltip="The paths."),
                io.Int.Input(
                    "batch_size", default=1, min=1, max=64, advanced=True, tooltip="Videos at once."
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="For Tora2 Sampler or KSampler with CogVideoX; Wan 2.1's is the same.",
                ),
                io.Int.Output(display_name="width", tooltip="Of the video, in pixels."),
                io.Int.Output(display_name="height", tooltip="Of the video, in pixels."),
                io.Int.Output(
                    display_name="frames", tooltip="Of the video: another node's frames or length."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(cls, trajectories: TrajectoryDocument, batch_size: int = 1) -> io.NodeOutput:
        width, height, frames = trajectories.width, trajectories.height, trajectories.frames
        COGVIDEOX.check_video(frames, height, width, "the trajectories' video")
        latent = video.empty_latent(width, height, frames, batch_size)
        return io.NodeOutput(latent, width, height, frames)


def mismatch(prompt: Prompt, editor: str, size: Size) -> str | None:
    """Why sampling could not start: a latent of another size than the editor's paths.

    Args:
        prompt: nodes by id, as the API has them.
        editor: id of the editor.
        size: (width, height, frames) of its paths.

    Returns:
        A sentence, or None where sizes agree or cannot be known before the run.
    """
    applied = [n for n in _reached(prompt, editor) if prompt[n]["class_type"] == APPLY]
    for node in (node for one in applied for node in _reached(prompt, one)):
        for name in _LATENTS:
            source = _source(prompt[node]["inputs"].get(name), prompt)
            found = None if source is None else _size(prompt[source]["inputs"])
            if found is not None and _differs(found, size):
                return (
                    f"the paths are drawn for {_words(size)} but {_named(prompt, source or node)} "
                    f"makes {_words(found)}; use Tora2 Empty Video, or give both one size"
                )
    return None


def warnings(prompt: Prompt, editor: str, size: Size) -> list[str]:
    """Nodes of other models that take the paths for a video of another size, in words."""
    lines = []
    for node in _reached(prompt, editor):
        inputs = prompt[node]["inputs"]
        found = _size(inputs)
        takes = any(_source(inputs.get(name), prompt) is not None for name in _LATENTS)
        if node != editor and not takes and found is not None and _differs(found, size):
            lines.append(
                f"the paths are drawn for {_words(size)} but {_named(prompt, node)} makes "
                f"{_words(found)}: connect width, height and frames of Tora2 Tracks or Tora2 "
                "Empty Video to it"
            )
    return lines


def queue_warnings(prompt: Prompt) -> dict[str, list[str]]:
    """Lines for every editor of a prompt whose size is known, by its id; none where all agree."""
    found = {}
    for node, value in prompt.items():
        if isinstance(value, Mapping) and _is_whole(value) and value["class_type"] == EDITOR:
            size = drawn_size(value["inputs"])
            if size is not None:
                found[node] = warnings(prompt, node, size)
    return found


def drawn_size(inputs: Mapping[str, Any]) -> Size | None:
    """The size of an editor's paths by its inputs as they are queued; None if only a run tells,
    or if there are no paths."""
    sides = [inputs.get(name) for name in ("width", "height", "frames")]
    if any(isinstance(side, list) for side in sides):
        return None
    try:
        document = parse(inputs["document"])
    except (KeyError, ValueError, TypeError):
        return None
    if not document.tracks:
        return None
    own = (document.width, document.height, document.frames)
    width, height, frames = (
        given if type(given) is int else drawn for given, drawn in zip(sides, own, strict=True)
    )
    return width, height, frames


def _reached(prompt: Prompt, start: str) -> Iterator[str]:
    """The node, and all that its paths reach, up to what samples or what is made of pictures."""
    takers: dict[str, list[tuple[str, int]]] = {}
    for node, value in prompt.items():
        whole = isinstance(value, Mapping) and _is_whole(value)
        for given in value["inputs"].values() if whole else ():
            source = _source(given, prompt)
            if source is not None:
                takers.setdefault(source, []).append((node, given[1]))
    known, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        yield node
        inputs = prompt[node]["inputs"]
        if node != start and (any(name in inputs for name in _LATENTS) or _size(inputs)):
            continue
        for taker, output in takers.get(node, ()):
            if taker not in known and not (node == start and output == _PREVIEW):
                known.add(taker)
                waiting.append(taker)


def _source(value: Any, prompt: Prompt) -> str | None:
    """The node that a link leads to."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        return None
    node = prompt.get(value[0])
    return value[0] if isinstance(node, Mapping) and _is_whole(node) else None


def _is_whole(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("inputs"), Mapping) and isinstance(node.get("class_type"), str)


def _size(inputs: Mapping[str, Any]) -> tuple[int, int, int | None] | None:
    """(width, height, frames or None) that a node's own widgets say; None if they do not."""
    width, height = inputs.get("width"), inputs.get("height")
    if type(width) is not int or type(height) is not int:
        return None
    frames = next((inputs[name] for name in _FRAMES if type(inputs.get(name)) is int), None)
    return width, height, frames


def _differs(found: tuple[int, int, int | None], size: Size) -> bool:
    frames = size[2] if found[2] is None else found[2]
    return found[:2] != size[:2] or (
        COGVIDEOX.latent_frames(frames) != COGVIDEOX.latent_frames(size[2])
    )


def _words(size: tuple[int, int, int | None]) -> str:
    width, height, frames = size
    if frames is None:
        return f"{width}x{height}"
    return COGVIDEOX.video_words(frames, height, width)


def _named(prompt: Prompt, node: str) -> str:
    title = prompt[node].get("_meta")
    name = title.get("title") if isinstance(title, Mapping) else None
    return f"{name or prompt[node]['class_type']} (node {node})"
