"""Did it follow, and does it look like it: measuring any video."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..tora2 import overlay
from ..tora2.encoders.entity import EncodedEntity, Encoders
from ..tora2.encoders.pictures import Picture
from ..tora2.evaluation.charts import Line, chart
from ..tora2.evaluation.faces import FACE
from ..tora2.evaluation.measuring import TrajectoryReport, measure_trajectories
from ..tora2.evaluation.metrics.subject_similarity import over_frames, subject_similarity
from ..tora2.evaluation.pictures import error_chart
from ..tora2.evaluation.summary import figures, sentences
from ..tora2.evaluation.trackers import trackers
from ..tora2.geometry import COGVIDEOX
from ..tora2.trajectory import TrajectoryDocument
from ..tora2.video import as_uint8
from .host import graph, measures, memory, progress, video
from .io_types import EncodersSocket, EntitySocket, TrajectoriesSocket
from .matching import match
from .validation import check_choice, refusal

NONE = "none"
ANCHORS = {"thing": "thing", "path (as the paper)": "path"}
"""What the user picks, and the `anchor` of `measure_trajectories`."""
_CHART = 1


def tracker_inputs() -> list[io.Input]:
    """Which tracker, and its weights."""
    return [
        io.Combo.Input(
            "tracker",
            options=list(trackers()),
            default="lucas_kanade",
            tooltip="What finds things again: lucas_kanade needs no weights, colour is for the "
            "bundled model, cotracker3 is what the paper used (not for commercial use).",
        ),
        io.Combo.Input(
            "weights",
            options=[NONE, *measures.tracker_files()],
            default=NONE,
            advanced=True,
            tooltip="Weights in models/tora2 of the trackers cotracker3 and raft.",
        ),
    ]


def load_tracker(tracker: str, weights: str) -> Any:
    """The tracker that was chosen by `tracker_inputs`."""
    return measures.load_tracker(tracker, None if weights == NONE else weights)


class Tora2MeasureTrajectory(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        slot = EntitySocket.Input("entity", optional=True, tooltip="An entity, with its pictures.")
        return io.Schema(
            node_id="Tora2MeasureTrajectory",
            display_name="Tora2 Measure Trajectory",
            category="Tora2/measures",
            description="How far what moves is from its path: TrajError in pixels, for each entity "
            "and over time. Works on any video, whoever made it.",
            search_aliases=["trajerror", "trajectory error", "did it follow", "evaluate motion"],
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip="The video. Three frames too many at its start, as CogVideoX's VAE "
                    "makes of some lengths, are left out.",
                ),
                TrajectoriesSocket.Input(
                    "trajectories",
                    tooltip="The paths that were asked for; they are stretched over the frames.",
                ),
                *tracker_inputs(),
                io.Combo.Input(
                    "anchor",
                    options=list(ANCHORS),
                    default=next(iter(ANCHORS)),
                    tooltip="What is followed: the thing that the path begins on, or that moves "
                    "beside it as it does; or whatever is where the path begins.",
                ),
                io.Int.Input(
                    "scale",
                    default=1,
                    min=1,
                    max=8,
                    tooltip="Enlarges the overlay, so that lines are fine on small videos.",
                ),
                io.Autogrow.Input(
                    "entities",
                    io.Autogrow.TemplatePrefix(slot, prefix="entity", min=0, max=100),
                    optional=True,
                    tooltip="For the tracker colour: entities whose pictures say what to look for, "
                    "wherever it is. Each is the one of its name or word in the trajectories.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="overlay",
                    tooltip="The video with the paths in colour, and where things were in white.",
                ),
                io.Image.Output(
                    display_name="chart", tooltip="|dx| + |dy| over the frames. Needs matplotlib."
                ),
                io.Float.Output(
                    display_name="trajectory_error",
                    tooltip="TrajError in pixels: the mean over entities. Not a number where "
                    "nothing could be measured.",
                ),
                io.String.Output(
                    display_name="report", tooltip="Every number, and what measured it, in words."
                ),
                io.String.Output(
                    display_name="figures", tooltip="Every number, by entity and path, as JSON."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        def installed() -> None:
            if inputs.get("tracker") == "lucas_kanade":
                # Said before the run: the video is made all the same, and only this left out.
                load_tracker("lucas_kanade", NONE)

        return refusal(cls, inputs, installed)

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        return graph.is_connected(_CHART)

    @classmethod
    def execute(
        cls,
        frames: Tensor,
        trajectories: TrajectoryDocument,
        tracker: str = "lucas_kanade",
        weights: str = NONE,
        anchor: str = "thing",
        scale: int = 1,
        entities: Mapping[str, EncodedEntity | None] | None = None,
    ) -> io.NodeOutput:
        check_choice(anchor, "anchor", list(ANCHORS))
        if len(frames) == trajectories.frames + video.EXTRA_FRAMES:
            frames = frames[video.EXTRA_FRAMES :]
        size = (len(frames), frames.shape[1] * scale, frames.shape[2] * scale)
        memory.check(overlay.memory(*size), f"the overlay of {COGVIDEOX.video_words(*size)}")
        chosen = load_tracker(tracker, weights)
        pixels = as_uint8(frames[..., :3]).cpu()
        with progress.steps(1 + len(frames)) as advance:
            looks = _looks(entities or {}, trajectories)
            # The tracker that goes by colour finds whole things by itself, wherever they are.
            how = "path" if tracker == "colour" else ANCHORS[anchor]
            report = measure_trajectories(pixels, trajectories, chosen, looks, how)
            advance()
            named = {entity.id: entity.name for entity in trajectories.entities}
            colors = overlay.track_colors(trajectories)
            labels = {t.id: named.get(t.entity or "", t.id) for t in trajectories.tracks}
            drawn = overlay.draw_tracks(
                frames[..., :3],
                report.requested,
                colors,
                measured=report.measured,
                scale=scale,
                labels=list(labels.values()),
                advance=advance,
            )
        text = "\n".join(sentences(report, trajectories, named))
        return io.NodeOutput(
            drawn,
            _chart(report, colors, labels),
            _number(report.overall.trajectory_error),
            text,
            json.dumps(figures(report, trajectories, named), indent=2),
            ui=ui.PreviewText(text),
        )


class Tora2MeasureLikeness(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        slot = EntitySocket.Input(
            "entity", optional=True, tooltip="An entity, with its word and pictures."
        )
        return io.Schema(
            node_id="Tora2MeasureLikeness",
            display_name="Tora2 Measure Likeness",
            category="Tora2/measures",
            description="How much entities look like their pictures in a video: Subj-S of what is "
            "found by its word, Face-S of the face. What is not found in a frame counts 0.",
            search_aliases=["face similarity", "dino similarity", "subject similarity", "identity"],
            inputs=[
                io.Image.Input("frames", tooltip="The video."),
                io.Autogrow.Input(
                    "entities",
                    io.Autogrow.TemplatePrefix(slot, prefix="entity", min=1, max=100),
                    tooltip="Entities from Tora2 Encode Entity or Load Entity; their previews are "
                    "what the video is compared with.",
                ),
                io.Combo.Input(
                    "subjects",
                    options=[NONE, *measures.subject_folders()],
                    default=NONE,
                    tooltip="For Subj-S: a folder in models/tora2 that holds the folders grounding "
                    "(Grounding DINO), sam and dino (ViT-B/16), as their publishers save them.",
                ),
                EncodersSocket.Input(
                    "encoders",
                    optional=True,
                    tooltip="For Face-S: Tora2 Load Encoders with a face folder.",
                ),
            ],
            outputs=[
                io.Float.Output(
                    display_name="subject_similarity",
                    tooltip="Subj-S, 1 at most. Not a number without its networks.",
                ),
                io.Float.Output(
                    display_name="face_similarity",
                    tooltip="Face-S, 1 at most. Not a number without a face, or its networks.",
                ),
                io.Image.Output(
                    display_name="chart", tooltip="Both over the frames. Needs matplotlib."
                ),
                io.String.Output(
                    display_name="report", tooltip="Every number, and what measured it, in words."
                ),
                io.String.Output(
                    display_name="figures", tooltip="Every number, by entity, as JSON."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return refusal(cls, inputs)

    @classmethod
    def execute(
        cls,
        frames: Tensor,
        entities: Mapping[str, EncodedEntity | None],
        subjects: str = NONE,
        encoders: Encoders | None = None,
    ) -> io.NodeOutput:
        if not entities:
            raise ValueError("Tora2MeasureLikeness: entities is null, expected at least one")
        given = [e for e in entities.values() if e is not None and e.preview is not None]
        if not given:
            raise ValueError("no entity has pictures, expected at least one with pictures")
        face = None if encoders is None or encoders.face is None else encoders.face
        if subjects == NONE and face is None:
            raise ValueError(
                "there is nothing to measure with, expected a folder for subjects, or encoders "
                "with a face folder"
            )
        pixels = as_uint8(frames[..., :3]).cpu()
        rows: dict[str, list[float]] = {}
        lines: list[str] = []
        subject, likeness = math.nan, math.nan
        with progress.steps(len(pixels) * ((subjects != NONE) + (face is not None))) as advance:
            if subjects != NONE:
                networks = measures.load_subjects(subjects).ready()
                references = {
                    entity.word: networks.embed(_pictures(entity), entity.word) for entity in given
                }
                found = networks.embedded(pixels, list(references), advance)
                subject = subject_similarity(found, references)
                rows = over_frames(found, references)
                lines.append(f"Subj-S: {subject:.3f}")
                lines += [f"Subj-S of {word}: {_mean(row):.3f}" for word, row in rows.items()]
            people = [e for e in given if any(r.branch == "face" for r in e.routings)]
            if face is not None and len(people) == 1:
                looked = measures.faces(face)
                reference = looked.embed(_pictures(people[0], "face"))
                row = over_frames(looked.embedded(pixels, advance), {FACE: reference})[FACE]
                likeness = _mean(row)
                rows[f"face of {people[0].word}"] = row
                lines.append(f"Face-S of {people[0].word}: {likeness:.3f}")
            elif face is not None:
                lines.append(
                    f"Face-S is not measured: it is about one face, and {len(people)} entities "
                    "have pictures of one"
                )
        text = "\n".join(lines)
        known = {"subject_similarity": subject, "face_similarity": likeness}
        content = {
            **{key: None if math.isnan(value) else value for key, value in known.items()},
            "over_frames": rows,
        }
        drawn = _blank()
        if graph.is_connected(2):
            all_lines = [Line(word, row) for word, row in rows.items()]
            drawn = chart(all_lines, "frame", "cosine", "Subj-S and Face-S")[None]
        return io.NodeOutput(
            subject, likeness, drawn, text, json.dumps(content, indent=2), ui=ui.PreviewText(text)
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        return graph.is_connected(2)


def _looks(
    entities: Mapping[str, EncodedEntity | None], document: TrajectoryDocument
) -> dict[str, Tensor]:
    """The first crop of each of the document's entities that is given."""
    given = [entity for entity in entities.values() if entity is not None]
    return {
        document.entities[one.place].id: one.entity.preview[0]
        for one in match(given, document)
        if one.place is not None and one.entity.preview is not None and len(one.entity.preview)
    }


def _pictures(entity: EncodedEntity, branch: str | None = None) -> list[Picture]:
    """An entity's crops; those of one branch if it is given."""
    assert entity.preview is not None
    kept = [branch is None or routing.branch == branch for routing in entity.routings]
    chosen = zip(entity.preview, kept or [True] * len(entity.preview), strict=True)
    return [Picture(crop.cpu()) for crop, keep in chosen if keep]


def _mean(row: Sequence[float]) -> float:
    return sum(row) / len(row)


def _chart(report: TrajectoryReport, colors: list[str], labels: dict[str, str]) -> Tensor:
    """[1, H, W, 3], drawn where somebody takes it."""
    return error_chart(report, colors, labels)[None] if graph.is_connected(_CHART) else _blank()


def _blank() -> Tensor:
    return torch.zeros(1, 8, 8, 3)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
