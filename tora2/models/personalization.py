"""Decoupled personalization extractor and personalization cross-attention (Eq. 3 and 4)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

_SEMANTIC, _FACE, _OBJECT = range(3)


def feed_forward(dim: int, mult: int = 4) -> nn.Sequential:
    """LayerNorm, expansion, GELU, contraction."""
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, mult * dim, bias=False),
        nn.GELU(),
        nn.Linear(mult * dim, dim, bias=False),
    )


class AppearanceAdapter(nn.Module):
    """f_θ of Eq. 3: one identity vector to a few tokens in the unified feature space."""

    def __init__(self, prior_dim: int, dim: int, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.layers = nn.Sequential(
            nn.Linear(prior_dim, dim),
            nn.LayerNorm(dim),
            nn.LeakyReLU(),
            nn.Linear(dim, dim),
            nn.LayerNorm(dim),
            nn.LeakyReLU(),
            nn.Linear(dim, tokens * dim),
        )

    def forward(self, prior: Tensor) -> Tensor:
        """[..., prior_dim] to [..., tokens, dim]."""
        return self.layers(prior).unflatten(-1, (self.tokens, -1))


class QFormerLayer(nn.Module):
    """Cross-attention from the queries to the visual corpus, then a feed-forward network."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query = nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        self.feed_forward = feed_forward(dim)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """queries [B, Q, D], context [B, S, D], mask [B, S] bool (True is present) to [B, Q, D]."""
        q = self.to_q(self.norm_query(queries))
        k, v = self.to_kv(self.norm_context(context)).chunk(2, dim=-1)
        queries = queries + self.to_out(attention(q, k, v, self.heads, mask))
        return queries + self.feed_forward(queries)


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Multi-head attention of [B, S, D] tensors.

    Args:
        mask: [B, S_k], bool (True is attended to), or a float that is added to the keys' logits.
    """
    q, k, v = (rearrange(x, "b s (h d) -> b h s d", h=heads) for x in (q, k, v))
    bias = None if mask is None else mask[:, None, None, :]
    if bias is not None and bias.is_floating_point():
        bias = bias.to(q.dtype)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return rearrange(out, "b h s d -> b s (h d)")


class DecoupledPersonalizationExtractor(nn.Module):
    """Turns encoded reference pictures into personalization embeddings (Eq. 3 and 4).

    Face or object identity vectors pass their appearance adapter; they are concatenated over
    tokens with the projected semantic features; the Q-Former's queries read the result.

    Args:
        semantic_dim: channels of the semantic (DINOv2) tokens.
        face_dim: length of the face identity vector.
        object_dim: length of the object identity vector.
        dim: width of the Q-Former and of its output.
        queries: number of personalization embeddings an entity.
        depth: Q-Former layers.
        heads: attention heads.
        prior_tokens: tokens that an adapter makes of one identity vector.
        max_references: pictures of one entity that the reference-index embedding tells apart.
    """

    def __init__(
        self,
        semantic_dim: int,
        face_dim: int,
        object_dim: int,
        dim: int,
        queries: int,
        depth: int,
        heads: int,
        prior_tokens: int = 4,
        max_references: int = 8,
    ) -> None:
        super().__init__()
        self.face_adapter = AppearanceAdapter(face_dim, dim, prior_tokens)
        self.object_adapter = AppearanceAdapter(object_dim, dim, prior_tokens)
        self.semantic_projection = nn.Sequential(nn.Linear(semantic_dim, dim), nn.LayerNorm(dim))
        self.type_embedding = nn.Embedding(3, dim)
        self.reference_embedding = nn.Embedding(max_references, dim)
        self.queries = nn.Parameter(torch.randn(queries, dim) * dim**-0.5)
        self.layers = nn.ModuleList(QFormerLayer(dim, heads) for _ in range(depth))
        self.norm_out = nn.LayerNorm(dim)
        for embedding in (self.type_embedding, self.reference_embedding):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(
        self, semantic: Tensor, face: Tensor, object: Tensor, is_face: Tensor, present: Tensor
    ) -> Tensor:
        """Personalization embeddings p_i.

        Args:
            semantic: [B, R, S, semantic_dim] tokens of R reference pictures.
            face: [B, R, face_dim] face identity vectors, zeros where the object branch is taken.
            object: [B, R, object_dim] object identity vectors, zeros where the face branch is.
            is_face: [B, R] bool, which branch each picture takes.
            present: [B, R] bool, which of the R pictures exist; at least one in each row.

        Returns:
            [B, queries, dim].
        """
        references = self.reference_embedding.weight[: semantic.shape[1], None]  # [R, 1, D]
        kind = self.type_embedding.weight
        prior = torch.where(
            is_face[..., None, None],
            self.face_adapter(face) + kind[_FACE],
            self.object_adapter(object) + kind[_OBJECT],
        )
        corpus = torch.cat([prior, self.semantic_projection(semantic) + kind[_SEMANTIC]], dim=2)
        mask = present.repeat_interleave(corpus.shape[2], dim=1)
        corpus = rearrange(corpus + references, "b r s d -> b (r s) d")
        p = self.queries.expand(len(corpus), -1, -1)
        for layer in self.layers:
            p = layer(p, corpus, mask)
        return self.norm_out(p)


class LinearExtractor(nn.Module):
    """The extractors that Table 2 compares the DPE with: the corpus is projected, not queried.

    `dino` projects the semantic tokens alone; `dino_reid` adds the object identity vector, of
    people too; `dino_reid_face` takes the face identity vector for people. Without queries the
    embeddings are as many as the corpus has tokens, so references that are missing in a batch are
    filled with those that exist, in turn.

    Args:
        semantic_dim, face_dim, object_dim, dim, prior_tokens, max_references: as in
            `DecoupledPersonalizationExtractor`.
        mode: `dino`, `dino_reid` or `dino_reid_face`.
    """

    def __init__(
        self,
        semantic_dim: int,
        face_dim: int,
        object_dim: int,
        dim: int,
        mode: str,
        prior_tokens: int = 4,
        max_references: int = 8,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.prior_tokens = prior_tokens
        self.semantic_projection = nn.Linear(semantic_dim, dim)
        if mode != "dino":
            self.object_projection = nn.Linear(object_dim, prior_tokens * dim)
        if mode == "dino_reid_face":
            self.face_projection = nn.Linear(face_dim, prior_tokens * dim)
        self.reference_embedding = nn.Embedding(max_references, dim)
        self.norm_out = nn.LayerNorm(dim)
        nn.init.normal_(self.reference_embedding.weight, std=0.02)

    def forward(
        self, semantic: Tensor, face: Tensor, object: Tensor, is_face: Tensor, present: Tensor
    ) -> Tensor:
        """As `DecoupledPersonalizationExtractor.forward`, but [B, R * tokens, dim].

        Raises:
            ValueError: if `dino_reid` is given a face identity vector.
        """
        tokens = [self.semantic_projection(semantic)]
        if self.mode == "dino_reid" and bool((is_face & present).any()):
            raise ValueError(
                "the extractor 'dino_reid' was given a picture on the face branch; expected the "
                "object branch for all pictures (kind 'object')"
            )
        if self.mode != "dino":
            prior = self.object_projection(object)
            if self.mode == "dino_reid_face":
                prior = torch.where(is_face[..., None], self.face_projection(face), prior)
            tokens.append(prior.unflatten(-1, (self.prior_tokens, -1)))
        corpus = torch.cat(tokens, dim=2)
        corpus = corpus + self.reference_embedding.weight[: semantic.shape[1], None]
        order = torch.argsort((~present).int(), dim=1, stable=True)  # those that exist come first
        turn = torch.arange(semantic.shape[1], device=present.device) % present.sum(1)[:, None]
        rows = torch.arange(len(corpus), device=present.device)[:, None]
        return self.norm_out(corpus[rows, order.gather(1, turn)].flatten(1, 2))


class PersonalizationCrossAttention(nn.Module):
    """Cross-attention from video tokens to the personalization embeddings of all entities.

    The output projection starts at zero, so a fresh one changes nothing.

    An embedding of a strength s below 1 pulls with s times its weight: it gives way to the others,
    and at 0 it is as if it were not there. As weights always add up to one, the caller scales the
    sum as well where none is at 1. Above 1 the value grows, and no other is pushed aside.

    Args:
        dim: channels of the video tokens.
        context_dim: channels of the personalization embeddings.
        heads: attention heads of `inner_dim / heads` channels.
        inner_dim: width of queries, keys and values.
    """

    def __init__(self, dim: int, context_dim: int, heads: int, inner_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(context_dim)
        self.norm2 = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner_dim, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * inner_dim, bias=False)
        self.to_out = nn.Linear(inner_dim, dim, bias=False)
        nn.init.zeros_(self.to_out.weight)

    def keys_values(self, p: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, which do not depend on the noise level.

        Args:
            p: [B, S, context_dim] personalization embeddings of all entities of a clip.
            strength: [B, S] of each embedding; above 1 it multiplies the values.

        Returns:
            Two tensors [B, S, inner_dim].
        """
        k, v = self.to_kv(self.norm1(p)).chunk(2, dim=-1)
        return k, v * strength.clamp(min=1)[..., None]

    @staticmethod
    def mask(strength: Tensor) -> Tensor:
        """Which keys are attended to, and with what weight: the mask of `forward`.

        Args:
            strength: [B, S], 0 for what is not there. A row without any attends to all of its keys:
                attention over no key has no value, and the caller drops the row.

        Returns:
            [B, S]: bool where no strength lies between 0 and 1, else the logarithm of
            min(strength, 1), which is -inf for what is not there.
        """
        present = strength > 0
        empty = ~present.any(1, keepdim=True)
        if not bool((present & (strength < 1)).any()):
            return present | empty
        return torch.where(empty, 0.0, strength.float().clamp(max=1).log())

    def forward(self, h: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The residual for video tokens h [B, T * H * W, dim]; [B, S] as `mask` gives it."""
        q = self.to_q(self.norm2(h))
        return self.to_out(attention(q, keys, values, self.heads, mask))
