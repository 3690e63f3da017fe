"""Scenes to videos with the library's own host: pictures, words and paths in, frames out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .backbones import Backbone, backbone_of
from .conditioning import EntityCondition, Tora2Conditioning
from .customization import AppliedLoras, Lora
from .encoders.entity import Encoders, encode_entity
from .encoders.pictures import load_picture
from .encoders.tiny import TinyEncoder
from .geometry import Grid
from .latents import decode_video, encode_video
from .model_folder import ModelInfo
from .model_folder.parts import Parts, read_parts, write_parts
from .models.adapter import Tora2Adapter
from .models.autoencoder import PatchAutoencoder
from .sampling import ClassifierFree, Dynamic, sample_latents
from .scene import Window
from .text import encode_prompts, encode_words, token_ids
from .trajectory import Tracks, TrajectoryDocument, sample
from .trajectory.flow import flow_map, flow_rgb

if TYPE_CHECKING:
    from .scene import Scene, SceneEntity


@dataclass(frozen=True, eq=False)
class Tora2Output:
    """A generated video.

    Attributes:
        frames: [T, H, W, 3] float32 in [0, 1].
        latents: [1, C, T_l, h, w], scaled; of the model's `Grid`.
        tracks: the requested tracks at every frame, in pixels of the video.
    """

    frames: Tensor
    latents: Tensor
    tracks: Tracks


class Tora2Pipeline:
    """Tora2 on a video model, with its text encoder and autoencoder, and picture encoders.

    Calling it with a scene gives a video; `from_pretrained` and `save_pretrained` read and write a
    folder whose parts keep their usual layouts. The arguments are those of
    `tora2.model_folder.parts.Parts`.
    """

    def __init__(
        self,
        transformer: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        adapter: Tora2Adapter,
        info: ModelInfo,
        encoders: Encoders | None = None,
    ) -> None:
        self.transformer = transformer
        self.vae = vae
        self.text_encoder = text_encoder
        self.tokenizer = tokenizer
        self.adapter = adapter
        self.info = info
        self.encoders = encoders or Encoders()
        self.device: torch.device = transformer.device
        self._offload = False

    @property
    def dtype(self) -> torch.dtype:
        return self.transformer.dtype

    @property
    def backbone(self) -> Backbone:
        """What the transformer is."""
        return backbone_of(self.transformer)

    @property
    def grid(self) -> Grid:
        """The latent geometry of the model."""
        return self.backbone.grid

    @property
    def encoder(self) -> TinyEncoder | None:
        """The picture encoder that is trained and saved with the model, where it has its own."""
        joint = self.encoders.joint
        return joint if isinstance(joint, TinyEncoder) else None

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        adapter: str | Path | None = None,
        encoders: Encoders | None = None,
        learned_positions: bool = True,
        offload: bool = False,
    ) -> "Tora2Pipeline":
        """Load a folder written by `save_pretrained`, the bundled model, or a published one.

        Args:
            path: a folder, "tiny", or a diffusers folder of CogVideoX-5b, -5b-I2V, Tora, Wan 2.1
                T2V or Latte; the last two with an adapter's file, as none is published.
            device: where to run; the GPU where there is one.
            dtype: of all parts; float32 on a CPU and bfloat16 on a GPU by default.
            adapter: the adapter in any layout of `tora2.checkpoints`, in place of the folder's own.
            encoders: picture encoders, in place of the folder's own.
            learned_positions: of image-to-video models, see `tora2.backbone.load_transformer`.
            offload: keep every part on the CPU but for the time in which it works.

        Raises:
            ValueError: says which file of the folder is missing or malformed.
        """
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
        parts = read_parts(path, dtype, adapter, learned_positions)
        made = {**vars(parts), "encoders": encoders or parts.encoders}
        return cls(**made).to(device, dtype, offload)

    def to(
        self, device: torch.device | str, dtype: torch.dtype, offload: bool = False
    ) -> "Tora2Pipeline":
        """Move every part, or with `offload` only say where each is to work; returns self."""
        self.device, self._offload = torch.device(device), offload
        place = torch.device("cpu") if offload else self.device
        for part in (self.transformer, self.vae, self.text_encoder, self.adapter, self.encoder):
            if part is not None:
                part.to(device=place, dtype=dtype).eval().requires_grad_(False)
        return self

    def tile(self) -> None:
        """Encode and decode in tiles of the picture, which needs less memory.

        Raises:
            ValueError: if the autoencoder is the bundled one, which has no need of it.
        """
        if isinstance(self.vae, PatchAutoencoder):
            raise ValueError("the bundled autoencoder does not tile, expected CogVideoX's")
        self.vae.enable_tiling()

    @contextmanager
    def _working(self, *parts: Any) -> Iterator[None]:
        """Have parts on the device for as long as they work."""
        for part in parts:
            part.to(self.device)
        try:
            yield
        finally:
            if self._offload:
                for part in parts:
                    part.to("cpu")

    def save_pretrained(self, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
        """Write the parts into a folder as safetensors of `dtype`."""
        parts = Parts(
            self.transformer,
            self.vae,
            self.text_encoder,
            self.tokenizer,
            self.adapter,
            self.info,
            self.encoders,
        )
        write_parts(parts, path, dtype)

    @torch.no_grad()
    def __call__(
        self,
        scene: "Scene",
        callback: Callable[[int, int], None] | None = None,
        image: Tensor | None = None,
        loras: Sequence[tuple[Lora, Window]] = (),
    ) -> Tora2Output:
        """Generate the video of a scene.

        Args:
            scene: prompt, entities, trajectories and sampling settings.
            callback: called with (step, steps) after every denoising step; may raise to cancel.
            image: first frame [3, H, W] in [0, 1] of the video's size, for image-to-video models.
            loras: each with its strength over the sampling; see `tora2.customization`.

        Raises:
            ValueError: if a LoRA was made for another model, the scene's size or frames do not
                suit the model, a picture or word cannot be used, or an image is given to a
                text-to-video model or missing.
        """
        document, settings = scene.trajectories, scene.sampling
        shape = self.check_size(document)
        self._check_image(image, document)
        tracks = sample(document)
        generator = torch.Generator().manual_seed(settings.seed)
        conditioning = self.condition(scene, tracks, generator)
        noise = torch.randn(shape, generator=generator).to(self.device)
        image_latents = self._image_latents(image, shape)
        text, negative = self.encode_text(scene.prompt), self.encode_text(scene.negative_prompt)
        if settings.unconditional == "zeros":
            negative = torch.zeros_like(negative)
        guide = Dynamic if settings.dynamic_guidance else ClassifierFree
        applied = AppliedLoras(self.transformer, loras)
        with self._working(self.transformer, self.adapter), applied:
            latents = sample_latents(
                self.transformer,
                self.backbone.make_scheduler(settings.scheduler),
                noise,
                text,
                negative,
                conditioning,
                steps=settings.steps,
                guider=guide(settings.guidance),
                motion=settings.motion,
                appearance=settings.appearance,
                image_latents=image_latents,
                generator=generator,
                callback=callback,
                loras=applied,
            )
        with self._working(self.vae):
            video = decode_video(self.vae, latents.to(self.dtype))[0].float().cpu()
        frames = ((video.permute(1, 2, 3, 0) + 1) / 2).clamp(0, 1)
        return Tora2Output(frames=frames, latents=latents, tracks=tracks)

    def check_size(self, document: TrajectoryDocument) -> tuple[int, int, int, int, int]:
        """The shape of the latents of a document's video.

        Raises:
            ValueError: if the model cannot make a video of its size and frames.
        """
        info, grid = self.info, self.grid
        size = (document.frames, document.height, document.width)
        only = (info.frames, info.height, info.width)
        if info.fixed and size != only:
            raise ValueError(
                f"the trajectories are for {grid.video_words(*size)}, but this model makes "
                f"{grid.video_words(*only)} only"
            )
        grid.check_video(*size, "the trajectories' video")
        shape = grid.latent_shape(*size)
        self.backbone.check_size(self.transformer, *shape[2:])
        return shape

    def _check_image(self, image: Tensor | None, document: TrajectoryDocument) -> None:
        wanted = self.transformer.config.in_channels > self.grid.channels
        if wanted != (image is not None):
            need = "needs a first frame" if wanted else "is a text-to-video one and takes no image"
            raise ValueError(f"this model {need}")
        size = (3, document.height, document.width)
        if image is not None and tuple(image.shape) != size:
            raise ValueError(f"the image has shape {tuple(image.shape)}; expected {size}")

    def _image_latents(self, image: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
        """The first frame's latents, followed by zeros, as CogVideoX-I2V reads them."""
        if image is None:
            return None
        frame = (image * 2 - 1)[None, :, None].to(self.device, self.dtype)
        with self._working(self.vae):
            first = encode_video(self.vae, frame).float()
        rest = first.new_zeros(*shape[:2], shape[2] - 1, *shape[3:])
        return torch.cat([first, rest], dim=2)

    def encode_text(self, prompt: str) -> Tensor:
        """Text context [1, L, D] of a prompt."""
        ids = token_ids(self.tokenizer, [prompt], self.info.text_tokens)
        with self._working(self.text_encoder):
            return encode_prompts(self.text_encoder, ids)

    def condition(
        self, scene: "Scene", tracks: Tracks, generator: torch.Generator | None = None
    ) -> Tora2Conditioning | None:
        """The conditioning of a scene; None where it has neither entities nor tracks.

        `generator` draws the motion latent where the scene asks for it.

        Raises:
            ValueError: if a track belongs to an entity that the scene has not, a picture or a word
                cannot be used, or the adapter lacks a part.
        """
        order = {entity.id: place for place, entity in enumerate(scene.entities)}
        for track in scene.trajectories.tracks:
            if track.entity is not None and track.entity not in order:
                raise ValueError(
                    f"track {track.id!r} belongs to entity {track.entity!r}, expected one of the "
                    f"scene's ({', '.join(order) or 'it has none'})"
                )
        entities = [self._entity(entity) for entity in scene.entities]
        flow = scene.sampling.flow
        latent = None
        if len(tracks.entity):
            drawing = generator if flow.latents == "drawn" else None
            latent = self.motion_latent(tracks, flow.mode, drawing)
        if latent is None and not entities:
            return None
        owners = [order.get(entity.id, -1) for entity in scene.trajectories.entities]
        owner = torch.tensor([*owners, -1])[tracks.entity]
        with self._working(self.adapter):
            return Tora2Conditioning.build(
                self.adapter, latent, entities, replace(tracks, entity=owner)
            )

    def motion_latent(
        self,
        tracks: Tracks,
        mode: str = "subpixel",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Flow picture of the tracks, encoded and scaled: [1, C, T_l, h, w].

        Args:
            tracks: in pixels of the video.
            mode: of `tora2.trajectory.flow.flow_map`.
            generator: draws from the autoencoder's posterior; without one its mean is taken.
        """
        size = (tracks.height, tracks.width)
        flow = flow_map(tracks, size, mode, sigma=self.info.sigma)  # type: ignore[arg-type]
        picture = flow_rgb(flow).transpose(0, 1)[None].float() / 127.5 - 1
        with self._working(self.vae):
            return encode_video(self.vae, picture.to(self.device, self.dtype), generator)

    def _entity(self, entity: "SceneEntity") -> EntityCondition:
        word = entity.word
        if self.info.words and word.lower() not in self.info.words:
            raise ValueError(
                f"word {word!r} is not one that this model knows; "
                f"expected one of {', '.join(self.info.words)}"
            )
        ids = token_ids(self.tokenizer, [word], self.info.text_tokens)
        with self._working(self.text_encoder):
            hidden, mask = encode_words(self.text_encoder, ids)
        pictures = [load_picture(image) for image in entity.images]
        encoded = encode_entity(self.encoders, pictures, word, entity.kind)
        return EntityCondition(encoded.pictures, hidden[0, mask[0]], entity.strength)
