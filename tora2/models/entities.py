"""What goes into the adapter for a batch of clips, and what comes out."""

from typing import NamedTuple

from torch import Tensor


class EntityBatch(NamedTuple):
    """The entities of a batch of clips, padded to N entities, R pictures, K tracks, L tokens.

    Attributes:
        semantic: [B, N, R, S, semantic_dim].
        face: [B, N, R, face_dim]; object: [B, N, R, object_dim]; zeros on the other branch.
        is_face: [B, N, R] bool.
        picture_mask: [B, N, R] bool.
        words: [B, N, L, word_dim]; word_mask: [B, N, L] bool.
        points: [B, N, K, T, 2] at every video frame, normalised (x, y); visible: [B, N, K, T] bool.
        track_mask: [B, N, K] bool.
        strength: [B, N], not negative; 0 is the same as an entity that is absent.
    """

    semantic: Tensor
    face: Tensor
    object: Tensor
    is_face: Tensor
    picture_mask: Tensor
    words: Tensor
    word_mask: Tensor
    points: Tensor
    visible: Tensor
    track_mask: Tensor
    strength: Tensor

    @property
    def has_picture(self) -> Tensor:
        """[B, N] bool."""
        return self.picture_mask.any(-1) & (self.strength != 0)

    @property
    def has_track(self) -> Tensor:
        """[B, N] bool."""
        return self.track_mask.any(-1) & (self.strength != 0)

    @property
    def has_word(self) -> Tensor:
        """[B, N] bool."""
        return self.word_mask.any(-1) & (self.strength != 0)


class Encoded(NamedTuple):
    """What the adapter makes of a batch, once per clip.

    Attributes:
        features: one [B * T, F, H, W] a block, binding splatted onto them; None without motion.
        p: [B, N * queries, context_dim] personalization embeddings; None without pictures.
        p_mask: [B, N * queries] bool; p_strength: [B, N * queries].
        pairs: contrastive heads of entities with picture and track, [E, contrastive_dim] each.
        clip: [E] which clip of the batch each pair comes from.
    """

    features: list[Tensor] | None
    p: Tensor | None
    p_mask: Tensor | None
    p_strength: Tensor | None
    pairs: tuple[Tensor, Tensor] | None
    clip: Tensor | None
