"""One clip to the tensors of the cache, through the encoders that inference uses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ..data.cache import CacheConfig
from ..data.clipset import ClipSet
from ..data.flow import dense_flow, load_estimator
from ..data.record import ClipRecord
from ..data.window import Window, choose_window, windowed_tracks
from ..device import resolve_device
from ..encoders.augmentation import augment
from ..encoders.entity import Encoders, encode_picture
from ..encoders.fingerprint import fingerprint
from ..encoders.loading import load_encoders
from ..encoders.pictures import Picture, content_box, cover, crop, on_white
from ..encoders.tiny import TinyEncoder
from ..latents import encode_posterior, grid_of, scaling_of
from ..model_folder.parts import read_encoding_parts
from ..models.autoencoder import PatchAutoencoder
from ..models.config import Tora2Config
from ..settings import Within
from ..text import encode_prompts, encode_words, token_ids
from ..trajectory.flow import flow_rgb

_WORDS = 4096


@dataclass(frozen=True)
class EncoderFiles:
    """Encoders of real pictures, as `load_encoders` takes them, in place of the model's own."""

    semantic: str | None = None
    face: str | None = None
    object: str | None = None


@dataclass(frozen=True)
class EncodingConfig:
    """How clips are encoded.

    Attributes:
        model: a folder that `Tora2Pipeline.from_pretrained` loads, or "tiny"; only its encoders
            are read.
        encoders: of the reference pictures, where the folder has none.
        frames, height, width: of the encoded video; the model's own by default. Frames are resized
            to cover the size, and the middle is kept.
        fps: the rate to aim at, 0 for the model's own; clips that are too short for it are taken
            at a higher one.
        augmentations: variations of each picture that are stored; the first is the picture itself.
        seed: of the variations.
        storage: type of what is stored.
        flow: also encode the dense flow, which Tora's first stage trains on.
        flow_weights: of raft.
        tiled: encode in tiles of the picture, which needs less memory.
        device: "auto" is the GPU where there is one.
        threads: of the CPU; the last bits of what a CPU computes depend on their number.
    """

    model: str = "tiny"
    encoders: EncoderFiles = field(default_factory=EncoderFiles)
    frames: int | None = None
    height: int | None = None
    width: int | None = None
    fps: Annotated[float, Within(0, 1000)] = 0.0
    augmentations: Annotated[int, Within(1, 64)] = 4
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    storage: Literal["float32", "float16", "bfloat16"] = "bfloat16"
    flow: Literal["none", "farneback", "raft"] = "none"
    flow_weights: str | None = None
    tiled: bool = False
    device: str = "auto"
    threads: Annotated[int, Within(1, 1024)] = 1


class ClipEncoder:
    """The encoders of a model, loaded once.

    Args:
        config: how clips are encoded.

    Attributes:
        cache: what the tensors will be like.

    Raises:
        ValueError: if a file cannot be used, or the model cannot encode such a video.
    """

    def __init__(self, config: EncodingConfig) -> None:
        self.device = resolve_device(config.device)
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        parts = read_encoding_parts(config.model, self.dtype)
        self._vae, self._text, self._tokenizer = parts.vae, parts.text_encoder, parts.tokenizer
        self._info = parts.info
        self._encoders = _picture_encoders(config.encoders, parts.encoders, self.device)
        for part in (self._vae, self._text, self._encoders.joint):
            if isinstance(part, torch.nn.Module):
                part.to(device=self.device, dtype=self.dtype).eval().requires_grad_(False)
        if config.tiled and not isinstance(self._vae, PatchAutoencoder):
            self._vae.enable_tiling()
        self._flow = None
        if config.flow != "none":
            self._flow = load_estimator(config.flow, config.flow_weights, self.device)
        self.cache = self._describe(config)
        self._word = lru_cache(_WORDS)(self._encode_word)

    def empty(self) -> dict[str, Tensor]:
        """The embedding of the empty caption, for captions that training drops."""
        return {"context": self._stored(self._caption(""))}

    @torch.no_grad()
    def encode(self, clips: ClipSet, index: int) -> dict[str, Tensor]:
        """The tensors of a clip, as `tora2.data.cache` lists them.

        Raises:
            ValueError: if it is damaged, too short, or a picture cannot be encoded.
        """
        record = clips.record(index)
        window = choose_window(record, self.cache.frames, self.cache.fps)
        frames = self._frames(clips, index, record, window)
        tensors = self._latents("", frames)
        if self._flow is not None:
            tensors |= self._latents("flow_", flow_rgb(dense_flow(self._flow, frames)))
        points, visible, owners = windowed_tracks(
            record, window, (self.cache.height, self.cache.width)
        )
        words, word_mask = self._words(record)
        return {
            **tensors,
            "context": self._stored(self._caption(record.caption)),
            "words": words,
            "word_mask": word_mask,
            **self._pictures(clips, index, record),
            "points": points,
            "visible": visible,
            "track_entity": owners,
            "window": torch.tensor([window.start, window.stride]),
        }

    def _frames(self, clips: ClipSet, index: int, record: ClipRecord, window: Window) -> Tensor:
        """uint8 [T, 3, H, W] of a window; no more than that is in memory."""
        size = (self.cache.height, self.cache.width)
        with clips.video(index) as video:
            if video.size != (record.height, record.width):
                height, width = video.size
                raise ValueError(
                    f"its video is {width}x{height}, expected {record.width}x{record.height} as "
                    "its record says"
                )
            taken = islice(video.frames, window.start, window.stop, window.stride)
            frames = [cover(frame.permute(2, 0, 1), size) for frame in taken]
        if len(frames) < window.frames:
            raise ValueError(f"its video ends early, expected {record.frames} frames")
        return torch.stack(frames)

    def _latents(self, prefix: str, frames: Tensor) -> dict[str, Tensor]:
        video = frames.transpose(0, 1)[None].float() / 127.5 - 1
        mean, logvar = encode_posterior(self._vae, video.to(self.device, self.dtype))
        tensors = {f"{prefix}mean": self._stored(mean[0])}
        if logvar is not None:
            tensors[f"{prefix}logvar"] = self._stored(logvar[0])
        return tensors

    def _caption(self, caption: str) -> Tensor:
        ids = token_ids(self._tokenizer, [caption], self._info.text_tokens)
        return encode_prompts(self._text, ids)[0]

    def _words(self, record: ClipRecord) -> tuple[Tensor, Tensor]:
        """Own tokens [N, W, D] of the words and their mask; an entity may have no word."""
        known = [self._word(entity.word) for entity in record.entities]
        length = max((len(word) for word in known), default=0)
        words = torch.zeros(len(known), length, self.cache.text_dim, dtype=self.cache.dtype)
        mask = torch.zeros(len(known), length, dtype=torch.bool)
        for row, word in enumerate(known):
            words[row, : len(word)] = word
            mask[row, : len(word)] = True
        return words, mask

    def _encode_word(self, word: str) -> Tensor:
        if not word:
            return torch.zeros(0, self.cache.text_dim, dtype=self.cache.dtype)
        ids = token_ids(self._tokenizer, [word], self._info.text_tokens)
        hidden, mask = encode_words(self._text, ids)
        return self._stored(hidden[0, mask[0]])

    def _pictures(self, clips: ClipSet, index: int, record: ClipRecord) -> dict[str, Tensor]:
        config, key = self.cache, clips.rows[index].key
        named = [
            (place, entity, name)
            for place, entity in enumerate(record.entities)
            for name in entity.references
        ]
        sizes = (len(named), config.augmentations)
        semantic = torch.zeros(*sizes, config.semantic_tokens, config.semantic_dim)
        face = torch.zeros(*sizes, config.face_dim)
        other = torch.zeros(*sizes, config.object_dim)
        is_face = torch.zeros(sizes, dtype=torch.bool)
        for row, (_, entity, name) in enumerate(named):
            picture = clips.picture(index, name)
            for number in range(config.augmentations):
                seed = _seed(config.seed, key, name, number)
                shown = picture if number == 0 else _variation(picture, seed)
                found = encode_picture(self._encoders, shown, entity.word, entity.kind).features
                found.check_widths(config.semantic_dim, config.face_dim, config.object_dim)
                semantic[row, number] = found.semantic.float()
                is_face[row, number] = found.branch == "face"
                (face if found.branch == "face" else other)[row, number] = found.prior.float()
        return {
            "semantic": self._stored(semantic),
            "face": self._stored(face),
            "object": self._stored(other),
            "is_face": is_face,
            "picture_entity": torch.tensor([place for place, *_ in named], dtype=torch.int64),
        }

    def _stored(self, x: Tensor) -> Tensor:
        return x.detach().to("cpu", self.cache.dtype).contiguous()

    def _describe(self, config: EncodingConfig) -> CacheConfig:
        info, grid = self._info, grid_of(self._vae)
        frames = info.frames if config.frames is None else config.frames
        height = info.height if config.height is None else config.height
        width = info.width if config.width is None else config.width
        grid.check_video(frames, height, width, "the video to encode")
        _, channels, latent_frames, rows, columns = grid.latent_shape(frames, height, width)
        tokens, semantic_dim, face_dim, object_dim = _widths(self._encoders)
        return CacheConfig(
            frames=frames,
            height=height,
            width=width,
            fps=config.fps or float(info.fps),
            channels=channels,
            latent_frames=latent_frames,
            rows=rows,
            columns=columns,
            scaling=scaling_of(self._vae),
            posterior=not isinstance(self._vae, PatchAutoencoder),
            text_tokens=info.text_tokens,
            text_dim=self._text.config.d_model,
            semantic_tokens=tokens,
            semantic_dim=semantic_dim,
            face_dim=face_dim,
            object_dim=object_dim,
            augmentations=config.augmentations,
            seed=config.seed,
            storage=config.storage,
            flow=None if self._flow is None else self._flow.key,
            encoders=self._names(),
        )

    def _names(self) -> dict[str, Any]:
        names = {
            "autoencoder": fingerprint(self._vae.state_dict()),
            "text": fingerprint(self._text.state_dict()),
        }
        encoders = self._encoders
        if isinstance(encoders.joint, TinyEncoder):
            return {**names, "joint": fingerprint(encoders.joint.state_dict())}
        if encoders.semantic is not None:
            names["semantic"] = encoders.semantic.key
        if encoders.face is not None:
            names["face"] = f"{encoders.face.detector.key} {encoders.face.recogniser.key}"
        if encoders.object is not None:
            names["object"] = encoders.object.key
        return names


def _picture_encoders(files: EncoderFiles, own: Encoders, device: torch.device) -> Encoders:
    if files == EncoderFiles():
        return own
    return load_encoders(files.semantic, files.face, files.object, device)


def _widths(encoders: Encoders) -> tuple[int, int, int, int]:
    """Tokens of a picture, and channels of each encoder; of an absent one an adapter's usual."""
    usual = Tora2Config()
    white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    if encoders.joint is not None:
        features = encoders.joint.encode([white])[0]
        prior = len(features.prior)
        return (*features.semantic.shape, prior, prior)
    face = usual.face_dim if encoders.face is None else encoders.face.recogniser.dim
    other = usual.object_dim if encoders.object is None else encoders.object.dim
    if encoders.semantic is None:
        return 1, usual.semantic_dim, face, other
    return (*encoders.semantic.encode(white).shape, face, other)


def _variation(picture: Picture, seed: int) -> Picture:
    """Another look of what a picture shows, cut out as the encoders would."""
    return Picture(augment(crop(on_white(picture), content_box(picture)), seed))


def _seed(seed: int, key: str, reference: str, number: int) -> int:
    digest = hashlib.sha256(f"{seed}/{key}/{reference}/{number}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
