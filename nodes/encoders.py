"""The networks that look at reference pictures."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy_api.latest import io, ui

from .host import encoders
from .io_types import EncodersSocket, FaceDetectionSocket
from .validation import refusal

NONE = "none"
OWN = "of the folder"
CACHES = ("memory", "memory and disk")


class Tora2LoadEncoders(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Tora2LoadEncoders",
            display_name="Tora2 Load Encoders",
            category="Tora2/loaders",
            description="The networks that look at reference pictures. Each is optional; the "
            "report says what the absent ones mean, and the licence of the others.",
            search_aliases=["insightface", "dinov2", "face id", "reid", "ip adapter"],
            inputs=[
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="DINOv2 from Load CLIP Vision (facebook/dinov2-large): what a picture "
                    "shows, for every picture.",
                ),
                io.Combo.Input(
                    "face",
                    options=[NONE, *encoders.face_folders()],
                    default=NONE,
                    tooltip="A folder in models/insightface with a face detector and a recogniser, "
                    "such as antelopev2. For non-commercial research only. Needs insightface.",
                ),
                io.Combo.Input(
                    "object",
                    options=[NONE, *encoders.object_files()],
                    default=NONE,
                    tooltip="A file in models/detection: torchvision's Mask R-CNN, or an identity "
                    "network as ONNX. For animals, things, and people whose face is not seen.",
                ),
                io.Combo.Input(
                    "face_recogniser",
                    options=[OWN, *encoders.recognisers()],
                    default=OWN,
                    advanced=True,
                    tooltip="Another recogniser in place of the folder's, such as AuraFace: ONNX, "
                    "or safetensors converted from it.",
                ),
                io.Combo.Input(
                    "cache",
                    options=list(CACHES),
                    default=CACHES[0],
                    advanced=True,
                    tooltip="Where results are kept, so that a picture is encoded once. On disk "
                    "they outlive a restart, in the user folder, at most 1 GiB.",
                ),
                FaceDetectionSocket.Input(
                    "face_detection",
                    optional=True,
                    tooltip="From the host's Load Face Detection Model (MediaPipe): finds faces "
                    "without insightface. Choose a face_recogniser with it.",
                ),
            ],
            outputs=[
                EncodersSocket.Output(display_name="encoders", tooltip="For Tora2 Encode Entity."),
                io.String.Output(
                    display_name="report", tooltip="What is loaded, what is missing, and licences."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        faces = partial(encoders.where, encoders.FACES, "face")
        things = partial(encoders.where, encoders.OBJECTS, "object")
        where = {"face": faces, "face_recogniser": faces, "object": things}
        return refusal(cls, inputs, where=where)

    @classmethod
    def execute(
        cls,
        face: str,
        object: str,
        face_recogniser: str = OWN,
        cache: str = CACHES[0],
        clip_vision: Any = None,
        face_detection: Any = None,
    ) -> io.NodeOutput:
        loaded = encoders.load_encoders(
            clip_vision,
            None if face == NONE else face,
            None if face_recogniser == OWN else face_recogniser,
            None if object == NONE else object,
            cache == CACHES[1],
            face_detection,
        )
        report = "\n".join(loaded.notes)
        return io.NodeOutput(loaded, report, ui=ui.PreviewText(report))
