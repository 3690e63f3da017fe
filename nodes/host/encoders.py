"""Picture encoders under the host's memory management.

Torch networks are held by ModelPatchers. Networks of other runtimes are held by patchers without
weights, so that the host counts them and frees them on its own requests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP
from torch import Tensor

from ...tora2.encoders.arcface import TorchRecogniser, load_recogniser
from ...tora2.encoders.cache import FeatureCache
from ...tora2.encoders.dino import patch_tokens, pixels
from ...tora2.encoders.entity import Encoders
from ...tora2.encoders.face import FaceEncoder, InsightFace
from ...tora2.encoders.features import PictureFeatures
from ...tora2.encoders.fingerprint import fingerprint
from ...tora2.encoders.loading import notes
from ...tora2.encoders.onnx import providers
from ...tora2.encoders.protocols import Box, Face
from ...tora2.encoders.registry import (
    EncoderEntry,
    entries,
    entry,
    face_entry,
    object_entry,
)
from . import users
from .adapters import AdapterPatcher

FACES = "insightface"
OBJECTS = "detection"
RECOGNISERS = ("glintr100.onnx", "w600k_r50.onnx")
"""What the recogniser of a folder that insightface publishes is called."""
_RECOGNISERS = (".onnx", ".safetensors")
_OBJECT_FILES = (".pth", ".pt", ".safetensors", ".onnx")


class Held(torch.nn.Module):
    """What a patcher holds: the host writes attributes of its own onto its models."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network


def hold(network: torch.nn.Module) -> ModelPatcher:
    """A patcher that keeps a torch network off the device until a picture needs it."""
    return AdapterPatcher(
        Held(network),
        load_device=model_management.text_encoder_device(),
        offload_device=model_management.text_encoder_offload_device(),
    )


def hold_sessions(network: Any, device: torch.device) -> ModelPatcher:
    """A patcher around a network of another runtime, which has `files` and `free`."""
    elsewhere = len(providers(device)) > 1
    size = sum(file.stat().st_size for file in network.files)
    patcher = AdapterPatcher(
        Held(network),
        load_device=device,
        offload_device=torch.device("cpu"),
        size=size if elsewhere else 1,  # on the CPU it takes none of the device's memory
    )
    patcher.add_callback(CallbacksMP.ON_DETACH, lambda *_: network.free())
    return patcher


def _ready(patcher: ModelPatcher) -> Any:
    model_management.load_model_gpu(patcher)
    return patcher.model.network


class HostSemantic:
    """The host's CLIP_VISION as the semantic encoder, which must be a DINOv2.

    The host's own preparation is for 518²; only its network runs, on our pixels.
    """

    def __init__(self, clip_vision: Any) -> None:
        if getattr(clip_vision, "model_type", None) != "dinov2":
            kind = getattr(clip_vision, "model_type", type(clip_vision).__name__)
            raise ValueError(
                f"the CLIP_VISION is a {kind}, expected DINOv2 (facebook/dinov2-large in "
                "models/clip_vision)"
            )
        self._clip = clip_vision
        weights = clip_vision.get_sd()
        self.dim = int(weights["layernorm.weight"].shape[0])
        self.key = f"host-dinov2-{fingerprint(weights)}"

    @torch.no_grad()
    def encode(self, square: Tensor) -> Tensor:
        model_management.load_model_gpu(self._clip.patcher)
        hidden = self._clip.model(pixel_values=pixels(square)[None].to(self._clip.load_device))[0]
        return patch_tokens(hidden)[0].float().cpu()


class _Patched:
    """An encoder that its patcher loads; its width and key are those of the network."""

    def __init__(self, network: Any, patcher: ModelPatcher) -> None:
        self.patcher = patcher
        self.dim, self.key = network.dim, network.key


class HostObject(_Patched):
    """A PriorEncoder."""

    def encode(self, image: Tensor, box: Box) -> Tensor:
        return _ready(self.patcher).encode(image, box)


class HostFace(_Patched):
    """insightface's networks, both as detector and as recogniser."""

    def detect(self, image: Tensor) -> Sequence[Face]:
        return _ready(self.patcher).detect(image)

    def embed(self, image: Tensor, face: Face) -> Tensor:
        return _ready(self.patcher).embed(image, face)

    def embed_square(self, square: Tensor) -> Tensor:
        return _ready(self.patcher).embed_square(square)


class HostRecogniser(_Patched):
    """ArcFace's network in torch as a recogniser."""

    def embed(self, image: Tensor, face: Face) -> Tensor:
        model_management.load_model_gpu(self.patcher)
        return self._recogniser.embed(image, face)

    def __init__(self, recogniser: TorchRecogniser) -> None:
        super().__init__(recogniser, hold(recogniser.network))
        self._recogniser = recogniser


class HostLandmarker:
    """The host's own face landmarker as a detector."""

    key = "host-mediapipe"

    def __init__(self, model: Any) -> None:
        if not hasattr(model, "detect_batch"):
            raise ValueError(
                f"face_detection is a {type(model).__name__}, expected what Load Face Detection "
                "Model (MediaPipe) gives"
            )
        self._model = model

    def detect(self, image: Tensor) -> Sequence[Face]:
        """uint8 [3, H, W] to the faces that either of its detectors finds, near ones first."""
        pixels = image.movedim(0, -1).cpu().numpy()
        for variant in ("short", "full"):
            (found,) = self._model.detect_batch([pixels], 0, MIN_SCORE, variant)
            if found:
                return [five_points(face) for face in found]
        return []


MIN_SCORE = 0.5
_IRISES, _NOSE, _MOUTH = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477)), 1, (61, 291)
"""Of the 478 points of MediaPipe's mesh; the person's right is the picture's left."""


def five_points(found: Any) -> Face:
    """ArcFace's five points from MediaPipe's mesh: irises, nose tip, corners of the mouth."""
    mesh = found["landmarks_xy"]
    eyes = [mesh[list(iris)].mean(0) for iris in _IRISES]
    points = [*eyes, mesh[_NOSE], *(mesh[corner] for corner in _MOUTH)]
    box = tuple(float(side) for side in found["bbox_xyxy"])
    return Face(box, float(found["score"]), tuple((float(x), float(y)) for x, y in points))  # type: ignore[arg-type]


class HostJoint:
    """The bundled model's encoder that its patcher loads."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.patcher = hold(network)

    def encode(self, pictures: Sequence[Tensor]) -> Sequence[PictureFeatures]:
        features = _ready(self.patcher).encode(pictures)
        return [PictureFeatures(f.semantic.cpu(), f.prior.cpu(), f.branch) for f in features]


def load_encoders(
    clip_vision: Any,
    face: str | None,
    recogniser: str | None,
    object: str | None,
    disk: bool,
    landmarker: Any = None,
) -> Encoders:
    """The encoders that are chosen; their notes say licences, and what the absent ones mean.

    Args:
        clip_vision: the host's, or None.
        face: one of `face_folders`, or None.
        recogniser: one of `recognisers`, or None for the folder's own.
        object: one of `object_files`, or None.
        disk: keep results in the user folder too.
        landmarker: the host's own face detection, in place of a folder's; it takes a recogniser.

    Raises:
        ValueError: if something chosen cannot be used.
    """
    semantic = faces = prior = None
    chosen: dict[str, EncoderEntry] = {}
    if clip_vision is not None:
        semantic, chosen["semantic"] = HostSemantic(clip_vision), entry("dinov2")
    if landmarker is not None:
        faces, chosen["face"] = (
            _load_torch_face(landmarker, face, recogniser),
            face_entry(f"{recogniser}"),
        )
    elif face is not None:
        networks = _load_face(face, recogniser)
        faces, chosen["face"] = FaceEncoder(networks, networks), face_entry(f"{face}{recogniser}")
    if object is not None:
        prior, chosen["object"] = _load_object(object)
    files = {"face": recogniser or face or "", "object": object or ""}
    said = notes(chosen, files)
    cache = _Kept() if disk else _cache(None)
    return Encoders(semantic, faces, prior, cache=cache, notes=said)


def _load_torch_face(landmarker: Any, folder: str | None, recogniser: str | None) -> FaceEncoder:
    """The host's detection and ArcFace in torch: nothing is needed that has to be compiled."""
    if recogniser is None:
        known = recognisers()
        if folder is not None:
            known = [name for name in known if os.path.dirname(name) == folder]
        named = [name for name in known if os.path.basename(name) in RECOGNISERS]
        if len(named) != 1:
            raise ValueError(
                "face_detection finds faces, and face_recogniser is not chosen: expected one of "
                f"{', '.join(recognisers()) or 'the files in models/insightface (none is there)'}"
            )
        (recogniser,) = named
    path = _locate(recogniser, FACES, recognisers())
    return FaceEncoder(HostLandmarker(landmarker), HostRecogniser(load_recogniser(path)))


def _load_face(folder: str, recogniser: str | None) -> HostFace:
    device = model_management.get_torch_device()
    path = _locate(folder, FACES, face_folders())
    file = None if recogniser is None else _locate(recogniser, FACES, recognisers())
    network = InsightFace(path, device, file)
    return HostFace(network, hold_sessions(network, device))


def _load_object(name: str) -> tuple[HostObject, EncoderEntry]:
    path = _locate(name, OBJECTS, object_files())
    chosen = object_entry(path)
    if chosen.name == "maskrcnn":
        network = chosen.load(path, "cpu")
        return HostObject(network, hold(network)), chosen
    device = model_management.get_torch_device()
    network = chosen.load(path, device)
    return HostObject(network, hold_sessions(network, device)), chosen


class _Kept(FeatureCache):
    """Keeps each user's results in that user's folder: encoders are loaded for all of them."""

    def get(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        base = users.folder() or Path(folder_paths.get_user_directory())
        return _cache(base / "tora2" / "features").get(name, compute)


@lru_cache(maxsize=4)
def _cache(folder: Path | None) -> FeatureCache:
    return FeatureCache(folder=folder)


def face_folders() -> list[str]:
    """Folders of `models/insightface` that hold ONNX files, such as `models/antelopev2`."""
    return sorted({os.path.dirname(name) for name in _files(FACES, (".onnx",))} - {""})


def recognisers() -> list[str]:
    """Files in `models/insightface` that a recogniser could be."""
    return _files(FACES, _RECOGNISERS)


def object_files() -> list[str]:
    """Files of `models/detection` that an object encoder could be."""
    return _files(OBJECTS, _OBJECT_FILES)


def where(folder: str, part: str) -> str:
    """In words, where files of one part of the encoders are searched, and what they can be."""
    known = "; ".join(f"{one.files}. {one.licence}" for one in entries(part))
    return f"Searched are {', '.join(_bases(folder))}. Known are: {known}"


def _bases(folder: str) -> list[str]:
    if folder in folder_paths.folder_names_and_paths:
        return folder_paths.get_folder_paths(folder)
    return [os.path.join(folder_paths.models_dir, folder)]


def _files(folder: str, extensions: tuple[str, ...]) -> list[str]:
    names = set()
    for base in _bases(folder):
        found, _ = folder_paths.recursive_search(base, excluded_dir_names=[".git"])
        names |= {name for name in found if name.lower().endswith(extensions)}
    return sorted(names)


def _locate(name: str, folder: str, choices: Sequence[str]) -> str:
    bases = _bases(folder)
    if name in choices:
        for base in bases:
            path = os.path.join(base, name)
            if os.path.exists(path):
                return path
    raise ValueError(f"{name[:60]!r} is in none of {', '.join(bases)}; expected one that is there")
