"""Everything about a clip that does not depend on the noise level, computed once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor

from .encoders.features import PictureFeatures
from .fields import show
from .models.adapter import EntityBatch, Tora2Adapter
from .models.personalization import PersonalizationCrossAttention
from .trajectory import Tracks


@dataclass(frozen=True, eq=False)
class EntityCondition:
    """One entity as the adapter reads it.

    Attributes:
        pictures: encoded reference pictures; empty for an entity without any.
        word: [L, word_dim] text-encoder tokens of the entity word, or None.
        strength: a dial from 0, the same as leaving the entity out, over 1, as trained. Below 1 it
            fades without a jump and gives way to the other entities; above 1 it adds more than it
            was trained to.
        window: (start, end) in [0, 1], the part of the sampling in which its pictures act.

    Raises:
        ValueError: if the strength is negative or not finite, or the window is not one.
    """

    pictures: tuple[PictureFeatures, ...] = ()
    word: Tensor | None = None
    strength: float = 1.0
    window: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength is {show(self.strength)}, expected a number from 0")
        if not 0 <= self.window[0] <= self.window[1] <= 1:
            raise ValueError(
                f"window is {show(self.window)}, expected a start and an end in [0, 1]"
            )


@dataclass(frozen=True, eq=False)
class Tora2Conditioning:
    """Motion features, keys and values of a batch of clips, and the two calls into every block.

    Attributes:
        adapter: holds the fusers and cross-attentions that `modulate` and `attend` run.
        frames: number of latent frames, 0 without motion.
        features: one [B * T, F, H, W] a block, or None.
        keys_values: for each block with a cross-attention, two [B, S, D]; empty without pictures.
        mask: [B, S], which personalization embeddings are attended to, and how much; see
            `PersonalizationCrossAttention.mask`.
        motion_mask: [B] in {0, 1}, which clips have trajectories; None when all have.
        appearance_mask: [B] in [0, 1], the strength of a clip's strongest entity with pictures; 0
            without any, and None when all are at 1.
        motion_strength, appearance_strength: scale the two residuals; 0 switches them off.
        pairs, clip: contrastive embeddings of the entities (see `Encoded`), for training.
        strengths: [B, S], how strong each personalization embedding is, entity after entity.
        windows: (start, end) of every entity's pictures; None where all act all the time.
    """

    adapter: Tora2Adapter
    frames: int = 0
    features: tuple[Tensor, ...] | None = None
    keys_values: dict[int, tuple[Tensor, Tensor]] | None = None
    mask: Tensor | None = None
    motion_mask: Tensor | None = None
    appearance_mask: Tensor | None = None
    motion_strength: float = 1.0
    appearance_strength: float = 1.0
    pairs: tuple[Tensor, Tensor] | None = None
    clip: Tensor | None = None
    strengths: Tensor | None = None
    windows: tuple[tuple[float, float], ...] | None = None

    @classmethod
    def build(
        cls,
        adapter: Tora2Adapter,
        motion_latent: Tensor | None = None,
        entities: Sequence[EntityCondition] = (),
        tracks: Tracks | None = None,
    ) -> "Tora2Conditioning":
        """Condition one clip (or a batch of clips that share entities and tracks).

        Args:
            adapter: the adapter, in the dtype and on the device to compute in.
            motion_latent: [B, C, T, H, W] encoded flow picture, already scaled, or None.
            entities: the clip's entities; entity i owns the tracks with `tracks.entity == i`.
            tracks: sampled tracks in video frames; free ones act through the motion latent alone.

        Raises:
            ValueError: if a track names an entity that is not there, or the adapter lacks a part.
        """
        if tracks is not None and len(tracks.entity):
            low, high = int(tracks.entity.min()), int(tracks.entity.max())
            if low < -1 or high >= len(entities):
                raise ValueError(
                    f"a track belongs to entity {low if low < -1 else high} but there are "
                    f"{len(entities)} entities, expected one of them, or -1 for a free track"
                )
        batch = 1 if motion_latent is None else len(motion_latent)
        collated = collate_entities(adapter, entities, tracks, batch) if entities else None
        if motion_latent is not None:
            motion_latent = motion_latent.to(adapter.device, adapter.dtype)
        built = cls.from_batch(adapter, motion_latent, collated)
        windows = tuple(entity.window for entity in entities)
        return built if set(windows) <= {(0.0, 1.0)} else replace(built, windows=windows)

    @classmethod
    def from_batch(
        cls,
        adapter: Tora2Adapter,
        motion_latent: Tensor | None,
        entities: EntityBatch | None,
        motion_mask: Tensor | None = None,
    ) -> "Tora2Conditioning":
        """Condition a collated batch; `motion_mask` [B] tells which clips have trajectories."""
        encoded = adapter(motion_latent, entities)
        keys_values: dict[int, tuple[Tensor, Tensor]] = {}
        mask = appearance_mask = strengths = None
        if encoded.p is not None:
            assert encoded.p_mask is not None and encoded.p_strength is not None
            strengths = torch.where(encoded.p_mask, encoded.p_strength, 0.0)
            mask, appearance_mask = _masks(strengths)
            for name, layer in adapter.cross_attention.items():
                keys_values[int(name)] = layer.keys_values(encoded.p, encoded.p_strength)  # type: ignore[operator]
        if motion_mask is not None and bool(motion_mask.all()):
            motion_mask = None
        return cls(
            adapter=adapter,
            frames=0 if motion_latent is None else motion_latent.shape[2],
            features=None if encoded.features is None else tuple(encoded.features),
            keys_values=keys_values,
            mask=mask,
            motion_mask=motion_mask,
            appearance_mask=appearance_mask,
            pairs=encoded.pairs,
            clip=encoded.clip,
            strengths=strengths,
        )

    @property
    def motion_first(self) -> bool:
        """Whether `attend` comes after the text attention (Table 5's best order)."""
        return self.adapter.config.order == "motion_first"

    def scaled(self, motion: float = 1.0, appearance: float = 1.0) -> "Tora2Conditioning":
        """The same conditions with both strengths multiplied."""
        return replace(
            self,
            motion_strength=self.motion_strength * motion,
            appearance_strength=self.appearance_strength * appearance,
        )

    def among(self, acting: Sequence[bool]) -> "Tora2Conditioning":
        """The same conditions with the pictures of some entities alone; paths stay as they are.

        Args:
            acting: for each entity of the clip, in its order, whether its pictures act.
        """
        if self.strengths is None or all(acting):
            return self
        each = self.strengths.shape[1] // len(acting)
        kept = torch.tensor(acting, device=self.strengths.device).repeat_interleave(each)
        mask, appearance_mask = _masks(self.strengths * kept)
        return replace(self, mask=mask, appearance_mask=appearance_mask)

    def window(self, frames: Sequence[int]) -> "Tora2Conditioning":
        """The conditions of some latent frames, in the given order; appearance is that of all."""
        if self.features is None:
            return self
        chosen = torch.as_tensor(frames, device=self.features[0].device)
        features = (
            f.unflatten(0, (-1, self.frames)).index_select(1, chosen).flatten(0, 1)
            for f in self.features
        )
        return replace(self, features=tuple(features), frames=len(frames))

    def to(self, device: torch.device | str) -> "Tora2Conditioning":
        """The same conditions on a device; the adapter stays where it is."""

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device)

        return replace(
            self,
            features=None if self.features is None else tuple(f.to(device) for f in self.features),
            keys_values={
                layer: (keys.to(device), values.to(device))
                for layer, (keys, values) in (self.keys_values or {}).items()
            },
            mask=moved(self.mask),
            motion_mask=moved(self.motion_mask),
            appearance_mask=moved(self.appearance_mask),
            pairs=None,
            clip=None,
            strengths=moved(self.strengths),
        )

    def modulate(self, layer: int, tokens: Tensor) -> Tensor:
        """Motion-guidance fuser of one block, on video tokens after norm1's modulation.

        Args:
            layer: index of the block.
            tokens: [B', T * H * W, C]; B' a multiple of the B clips, guidance halves outermost.

        Returns:
            As `tokens`; the tensor itself where there is no motion.

        Raises:
            ValueError: if the tokens do not fit the motion features' frames and size.
        """
        if self.features is None or self.motion_strength == 0:
            return tokens
        feature = self.features[layer]
        height, width = feature.shape[-2:]
        clips = len(feature) // self.frames
        if tokens.shape[1] != self.frames * height * width or len(tokens) % clips:
            raise ValueError(
                f"video tokens {tuple(tokens.shape)} do not fit motion features of {clips} clips "
                f"of {self.frames} latent frames at {height}x{width} tokens"
            )
        h = tokens.to(feature.dtype)
        h = rearrange(h, "b (t h w) c -> (b t) c h w", t=self.frames, h=height, w=width)
        fuser = self.adapter.fuser[layer]
        residual = fuser.residual(h, feature, self.frames)  # type: ignore[operator]
        residual = rearrange(residual, "(b t) c h w -> b (t h w) c", t=self.frames)
        residual = _masked(residual, self.motion_mask, self.motion_strength)
        return tokens + residual.to(tokens.dtype)

    def attend(self, layer: int, tokens: Tensor) -> Tensor:
        """Personalization cross-attention of one block, on the residual stream's video tokens.

        Args:
            layer: index of the block; blocks without a cross-attention return the tokens.
            tokens: [B', T * H * W, C]; B' a multiple of the B clips, guidance halves outermost.

        Returns:
            As `tokens`.
        """
        if not self.keys_values or layer not in self.keys_values or self.appearance_strength == 0:
            return tokens
        keys, values = self.keys_values[layer]
        assert self.mask is not None
        repeats = len(tokens) // len(keys)
        residual = self.adapter.cross_attention[str(layer)](
            tokens.to(keys.dtype),
            _repeat(keys, repeats),
            _repeat(values, repeats),
            _repeat(self.mask, repeats),
        )
        residual = _masked(residual, self.appearance_mask, self.appearance_strength)
        return tokens + residual.to(tokens.dtype)


def _masks(strengths: Tensor) -> tuple[Tensor, Tensor | None]:
    """`mask` and `appearance_mask` of strengths [B, S]."""
    strongest = strengths.amax(1).clamp(max=1)
    whole = bool((strongest == 1).all())
    return PersonalizationCrossAttention.mask(strengths), None if whole else strongest


def _repeat(x: Tensor, repeats: int) -> Tensor:
    return x if repeats == 1 else x.expand(repeats, *x.shape).flatten(0, 1)


def _masked(residual: Tensor, mask: Tensor | None, strength: float) -> Tensor:
    if mask is not None:
        residual = residual * _repeat(mask, len(residual) // len(mask))[:, None, None]
    return residual if strength == 1.0 else residual * strength


def collate_entities(
    adapter: Tora2Adapter,
    entities: Sequence[EntityCondition],
    tracks: Tracks | None,
    batch: int = 1,
) -> EntityBatch:
    """One clip's entities as a batch of `batch` equal rows, padded to common lengths."""
    config, device, dtype = adapter.config, adapter.device, adapter.dtype
    count = len(entities)
    owned = [
        [] if tracks is None else (tracks.entity == i).nonzero().flatten().tolist()
        for i in range(count)
    ]
    pictures = [entity.pictures for entity in entities]
    r = max(1, *(len(p) for p in pictures))
    s = max((p.semantic.shape[0] for ps in pictures for p in ps), default=1)
    length = max((len(e.word) for e in entities if e.word is not None), default=1)
    k = max(1, *(len(rows) for rows in owned))
    frames = 1 if tracks is None else tracks.frames
    out = EntityBatch(
        semantic=torch.zeros(count, r, s, config.semantic_dim),
        face=torch.zeros(count, r, config.face_dim),
        object=torch.zeros(count, r, config.object_dim),
        is_face=torch.zeros(count, r, dtype=torch.bool),
        picture_mask=torch.zeros(count, r, dtype=torch.bool),
        words=torch.zeros(count, length, config.word_dim),
        word_mask=torch.zeros(count, length, dtype=torch.bool),
        points=torch.zeros(count, k, frames, 2),
        visible=torch.zeros(count, k, frames, dtype=torch.bool),
        track_mask=torch.zeros(count, k, dtype=torch.bool),
        strength=torch.tensor([entity.strength for entity in entities], dtype=torch.float32),
    )
    for i, entity in enumerate(entities):
        for j, picture in enumerate(entity.pictures):
            picture.check_widths(config.semantic_dim, config.face_dim, config.object_dim)
            out.semantic[i, j] = picture.semantic.float()
            (out.face if picture.branch == "face" else out.object)[i, j] = picture.prior.float()
            out.is_face[i, j] = picture.branch == "face"
            out.picture_mask[i, j] = True
        if entity.word is not None and "binding" in adapter.capabilities:
            if entity.word.ndim != 2 or entity.word.shape[1] != config.word_dim:
                raise ValueError(
                    f"the word of entity {i} has the shape {tuple(entity.word.shape)}, expected "
                    f"[L, {config.word_dim}] for this adapter"
                )
            out.words[i, : len(entity.word)] = entity.word.float()
            out.word_mask[i, : len(entity.word)] = True
        for j, row in enumerate(owned[i]):
            assert tracks is not None
            size = torch.tensor([tracks.width, tracks.height], dtype=torch.float32)
            out.points[i, j] = tracks.points[row].float() / size
            out.visible[i, j] = tracks.visible[row]
            out.track_mask[i, j] = True

    def placed(x: Tensor, name: str) -> Tensor:
        keep = x.dtype == torch.bool or name == "points"
        x = x.to(device) if keep else x.to(device, dtype)
        return x.expand(batch, *x.shape)

    return EntityBatch(*(placed(x, name) for name, x in out._asdict().items()))
