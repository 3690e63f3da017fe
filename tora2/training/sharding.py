"""Parameters divided over the processes, with FSDP2.

A frozen backbone is gathered a block at a time. What is trained runs for some clips and not for
others (a dropped picture, a clip without tracks), while processes must gather alike; so it is
gathered once a step, all of it, and its gradients are reduced once.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from .distributed import World


def shard(
    root: nn.Module, blocks: Iterable[nn.Module], world: World, low: bool
) -> list[nn.Parameter]:
    """Divide the parameters of a module over the processes, in place.

    Trained parameters stay in float32, which is what the optimiser moves; where `low` they are
    gathered in bfloat16, and gradients are reduced in float32.

    Args:
        root: its `forward` is the training step.
        blocks: of the backbone in it, which call their children one by one.
        world: the processes, more than one.
        low: compute in bfloat16.

    Returns:
        The trained scalars (gates), which cannot be divided: their gradients are left to `average`.
    """
    scalars = {parameter for parameter in root.parameters() if parameter.ndim == 0}
    mesh = init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if low:
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    for block in blocks:
        if any(parameter.requires_grad for parameter in block.parameters()):
            continue
        held = [part for part in block.children() if next(part.parameters(), None) is not None]
        fully_shard(held, mesh=mesh, mp_policy=policy)
    fully_shard(
        root, mesh=mesh, mp_policy=policy, reshard_after_forward=False, ignored_params=scalars
    )
    return [parameter for parameter in root.parameters() if parameter in scalars]


@torch.no_grad()
def average(scalars: Iterable[nn.Parameter], world: World) -> None:
    """Have the mean over the processes as the gradient of every trained scalar."""
    gradients = [scalar.grad for scalar in scalars if scalar.grad is not None]
    if gradients and world.size > 1:
        together = torch.stack(gradients)
        dist.all_reduce(together)
        for gradient, total in zip(gradients, together / world.size, strict=True):
            gradient.copy_(total)
