"""The TORA2_* sockets, and the values that travel through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

from ..tora2.conditioning import Tora2Conditioning
from ..tora2.mixing import Mixture
from ..tora2.models.adapter import Tora2Adapter
from ..tora2.previews import RgbFactors

AdapterSocket = io.Custom("TORA2_ADAPTER")
EncodersSocket = io.Custom("TORA2_ENCODERS")  # a tora2.encoders.entity.Encoders
EntitySocket = io.Custom("TORA2_ENTITY")  # a tora2.encoders.entity.EncodedEntity
TrajectoriesSocket = io.Custom("TORA2_TRAJECTORIES")  # a tora2.trajectory.TrajectoryDocument
BackgroundRemovalSocket = io.Custom("BACKGROUND_REMOVAL")  # the host's
FaceDetectionSocket = io.Custom("FACE_DETECTION_MODEL")  # the host's
ConditioningSocket = io.Custom("TORA2_CONDITIONING")
CutOutSocket = io.Custom("TORA2_CUTOUT")  # a tora2.cutouts.CutOut


@dataclass(frozen=True, eq=False)
class LoadedAdapter:
    """TORA2_ADAPTER: an adapter that the host loads, offloads and frees.

    Attributes:
        patcher: the host's ModelPatcher around it.
        name: what the user picked, for messages.
        flow_sigma: radius of a track on the flow picture that it was trained with, in pixels.
    """

    patcher: Any
    name: str
    flow_sigma: float = 10.0

    @property
    def adapter(self) -> Tora2Adapter:
        """The adapter itself, wherever its weights are."""
        return self.patcher.model.adapter


@dataclass(frozen=True, eq=False)
class BoundConditioning:
    """TORA2_CONDITIONING: everything about a clip that the model reads at every step.

    Attributes:
        conditioning: its tensors rest on the host's offload device between runs.
        adapter: the adapter that made it, which the sampler loads beside the model.
        size: (width, height, frames) of the video that the trajectories were drawn for, or None
            without trajectories.
        colours: of the VAE's latents, for previews; None without paths, which it encodes.
        mixture: what acts when, where not all entities' paths act fully all the time; None where
            they do.
    """

    conditioning: Tora2Conditioning
    adapter: LoadedAdapter
    size: tuple[int, int, int] | None = None
    colours: RgbFactors | None = None
    mixture: Mixture | None = None
