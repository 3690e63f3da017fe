"""Training losses: velocity mean-squared error and the contrastive loss of Eq. 6."""

import torch
import torch.nn.functional as F
from torch import Tensor


def velocity_loss(predicted: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean-squared error on v, which equals CogVideoX's x0 error weighted by 1 / (1 - alpha_bar).

    Args:
        predicted, target: [B, C, T, H, W].
        weight: broadcastable to them, or None for ones; it is normalised to mean 1.
    """
    error = (predicted.float() - target.float()).square()
    if weight is None:
        return error.mean()
    weight = weight.expand_as(error)
    return (error * weight).sum() / weight.sum()


def contrastive_loss(
    p: Tensor,
    m: Tensor,
    temperature: float = 0.07,
    reduction: str = "mean",
    distinct: Tensor | None = None,
) -> Tensor:
    """Symmetric contrastive loss between personalization and motion embeddings (Eq. 6).

    Row i of `p` and row i of `m` belong to the same entity; every other row is a negative. Both are
    L2-normalised and compared in float32.

    Args:
        p, m: [N, d].
        temperature: τ of Eq. 6; positive.
        reduction: `sum` is the paper's sum of both directions; `mean` averages over both
            directions and rows (CLIP's loss), which is the sum divided by 2N.
        distinct: [N, N] bool; False takes a pair out of the negatives. The diagonal is kept.

    Returns:
        A scalar; zero where there are no two rows to tell apart.

    Raises:
        ValueError: if the shapes differ, the temperature is not positive or the reduction unknown.
    """
    if p.shape != m.shape or p.ndim != 2:
        raise ValueError(
            f"p and m have shapes {tuple(p.shape)} and {tuple(m.shape)}; "
            "expected one [N, d] for both"
        )
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}; expected a positive number")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; expected 'mean' or 'sum'")
    count = len(p)
    if count == 0:
        return p.float().sum()
    with torch.autocast(p.device.type, enabled=False):
        logits = F.normalize(p.float(), dim=-1) @ F.normalize(m.float(), dim=-1).T / temperature
        if distinct is not None:
            keep = distinct | torch.eye(count, dtype=torch.bool, device=p.device)
            logits = logits.masked_fill(~keep, float("-inf"))
        target = torch.arange(count, device=p.device)
        total = F.cross_entropy(logits, target, reduction="sum")
        total = total + F.cross_entropy(logits.T, target, reduction="sum")
    return total if reduction == "sum" else total / (2 * count)


@torch.no_grad()
def matching_accuracy(p: Tensor, m: Tensor, clip: Tensor) -> float:
    """Share of entities whose own motion embedding is the nearest within their clip.

    Args:
        p, m: [N, d] contrastive embeddings.
        clip: [N] which clip each row comes from.

    Returns:
        In [0, 1]; NaN when no clip has two entities.
    """
    logits = F.normalize(p.float(), dim=-1) @ F.normalize(m.float(), dim=-1).T
    same = clip[:, None] == clip[None, :]
    several = same.sum(1) > 1
    if not bool(several.any()):
        return float("nan")
    best = logits.masked_fill(~same, float("-inf")).argmax(1)
    right = best == torch.arange(len(p), device=p.device)
    return right[several].float().mean().item()
