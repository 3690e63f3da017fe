"""Losses and measures against values worked out by hand."""

import math

import pytest
import torch

from tora2.evaluation import trajectory_error
from tora2.losses import contrastive_loss, matching_accuracy, velocity_loss


def test_velocity_loss_is_the_weighted_x0_loss() -> None:
    """x0' - x0 = -sqrt(1 - a) (v' - v), so the x0 error times 1 / (1 - a) is the v error."""
    generator = torch.Generator().manual_seed(0)
    x0, noise, v = (torch.randn(2, 3, 2, 4, 4, generator=generator) for _ in range(3))
    a = torch.tensor([0.3, 0.9]).view(2, 1, 1, 1, 1)
    noisy = a.sqrt() * x0 + (1 - a).sqrt() * noise
    target = a.sqrt() * noise - (1 - a).sqrt() * x0
    predicted_x0 = a.sqrt() * noisy - (1 - a).sqrt() * v
    expected = ((predicted_x0 - x0).square() / (1 - a)).mean()
    assert velocity_loss(v, target) == pytest.approx(float(expected), rel=1e-5)


def test_region_weight_is_normalised() -> None:
    error = torch.zeros(1, 1, 1, 1, 4)
    error[..., 0] = 2.0
    weight = torch.tensor([5.0, 1.0, 1.0, 1.0]).view(1, 1, 1, 1, 4)
    assert velocity_loss(error, torch.zeros_like(error), weight) == pytest.approx(4 * 5 / 8)
    assert velocity_loss(error, torch.zeros_like(error)) == pytest.approx(1.0)


def test_contrastive_loss_by_hand() -> None:
    p = torch.eye(2)
    m = torch.tensor([[2.0, 0.0], [3.0, 3.0]])  # normalised: (1, 0) and (0.707, 0.707)
    c = math.sqrt(0.5)
    rows = -math.log(math.exp(1) / (math.exp(1) + math.exp(c))) - math.log(
        math.exp(c) / (math.exp(0) + math.exp(c))
    )
    columns = -math.log(math.exp(1) / (math.exp(1) + math.exp(0))) - math.log(
        math.exp(c) / (math.exp(c) + math.exp(c))
    )
    total = contrastive_loss(p, m, temperature=1.0, reduction="sum")
    assert total == pytest.approx(rows + columns, rel=1e-5)
    assert contrastive_loss(p, m, temperature=1.0) == pytest.approx((rows + columns) / 4, rel=1e-5)


def test_one_entity_has_nothing_to_contrast() -> None:
    assert contrastive_loss(torch.randn(1, 8), torch.randn(1, 8)) == 0
    assert contrastive_loss(torch.zeros(0, 8), torch.zeros(0, 8)) == 0


def test_distinct_takes_pairs_out_of_the_negatives() -> None:
    generator = torch.Generator().manual_seed(0)
    p, m = torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator)
    apart = torch.zeros(3, 3, dtype=torch.bool)
    assert contrastive_loss(p, m, distinct=apart) == pytest.approx(0.0, abs=1e-6)


def test_contrastive_loss_refuses() -> None:
    with pytest.raises(ValueError, match="shapes"):
        contrastive_loss(torch.zeros(2, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="temperature is 0"):
        contrastive_loss(torch.zeros(2, 4), torch.zeros(2, 4), temperature=0)
    with pytest.raises(ValueError, match="reduction is 'total'"):
        contrastive_loss(torch.zeros(2, 4), torch.zeros(2, 4), reduction="total")


def test_contrastive_loss_stays_finite_in_half_precision_contexts() -> None:
    p = torch.randn(4, 8, dtype=torch.bfloat16) * 1e4
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive_loss(p, p.flip(0), temperature=0.01)
    assert loss.dtype == torch.float32 and torch.isfinite(loss)


def test_matching_accuracy_looks_within_clips_only() -> None:
    p = torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    m = torch.tensor([[1.0, 0], [1, 0.1], [1, 0]])
    clip = torch.tensor([0, 0, 1])
    assert matching_accuracy(p, m, clip) == 1.0
    assert matching_accuracy(p, m[[1, 0, 2]] * torch.tensor([1.0, -1.0]), clip) == 0.5
    assert math.isnan(matching_accuracy(p[:1], m[:1], torch.tensor([0])))


def test_trajectory_error_is_mean_l1() -> None:
    target = torch.zeros(1, 3, 2)
    predicted = torch.tensor([[[1.0, -2.0], [0.0, 0.5], [float("nan"), 0.0]]])
    assert trajectory_error(predicted, target) == pytest.approx((3 + 0.5) / 2)
    visible = torch.tensor([[True, False, True]])
    assert trajectory_error(predicted, target, visible) == pytest.approx(3.0)
    assert math.isnan(trajectory_error(predicted, target, torch.zeros(1, 3, dtype=torch.bool)))
    with pytest.raises(ValueError, match="expected one \\[N, T, 2\\]"):
        trajectory_error(predicted, torch.zeros(1, 2, 2))
