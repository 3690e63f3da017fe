"""AdamW and Muon on float32 weights, their rates over time, and the average of what they train."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from ..fields import show
from ..settings import Within

Steps = Annotated[int, Within(0, 10**9)]
Positive = Annotated[int, Within(1, 10**9)]
# What an 8-bit moment is made of.
_EIGHT_BIT = ("codes", "scale")
_MOMENTUM = "momentum_buffer"

Rate = Annotated[float, Within(0, 10)]
Share = Annotated[float, Within(0, 1)]


@dataclass(frozen=True)
class Optimization:
    """How parameters move, whatever they belong to.

    Attributes:
        learning_rate: of everything that no other rate is given for.
        final_learning_rate: share of the rate that is left at the cosine's end.
        warmup: steps in which the rate rises.
        horizon: steps of the cosine that the rate follows, `steps` if 0; with `cooldown`, the rate
            goes linearly to zero over so many last steps, so that a run may end before its horizon.
        clip: largest norm of the gradient.
        ema: decay of the average; 0: there is none, and no memory is held for it.
        precision: of the computation; weights are kept in float32.
        moments: of AdamW; `8bit` ones need a quarter of the memory, the package torchao, and a run
            of one process.
        accumulate: batches whose gradients make one step; `batch` is that of all processes.
        patience: steps in a row without a finite gradient after which the run ends.
        compile: let torch compile the backbone's blocks.
        checkpoint_every: steps between two checkpoints to resume from, of which `keep` are kept.
    """

    steps: Positive = 4000
    batch: Annotated[int, Within(1, 65536)] = 32
    learning_rate: Rate = 1e-3
    final_learning_rate: Share = 0.05
    warmup: Steps = 100
    horizon: Steps = 0
    cooldown: Steps = 0
    weight_decay: Rate = 1e-2
    betas: tuple[Share, Share] = (0.9, 0.98)
    clip: Annotated[float, Within(1e-9, 1e9)] = 1.0
    ema: Share = 0.998
    precision: Literal["bf16", "fp32"] = "bf16"
    moments: Literal["fp32", "8bit"] = "fp32"
    accumulate: Positive = 1
    patience: Positive = 5
    compile: bool = False
    checkpoint_every: Positive = 250
    keep: Positive = 2

    def factor(self, step: int) -> float:
        """What the rates are multiplied by at a step, counted from 0."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(self.horizon or self.steps, 1))))
        left = min(1.0, (self.steps - step) / self.cooldown) if self.cooldown else 1.0
        return warm * left * (self.final_learning_rate + (1 - self.final_learning_rate) * cosine)


class Optimizer:
    """AdamW over the parameters of some parts, or Muon over the matrices among them.

    A step of a rate such as 3e-6 is smaller than what bfloat16 tells apart, so a parameter that is
    held in less than float32 has a master copy, which is what moves; the parameter follows it.

    Args:
        parameters: by name; those of the parts that are trained.
        settings: of the optimisation.
        rates: learning rates of parameters whose name contains a text, in place of the general one;
            such parameters have no weight decay.
        muon: names of the matrices that Muon (Jordan et al., 2024) moves in place of AdamW: by
            their momentum with all its singular values made one, so that no direction of a matrix
            waits for another. Steps are as large as AdamW's at the same rate. For one process.

    Raises:
        ValueError: if torch has no Muon, as before 2.9.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        settings: Optimization,
        rates: Mapping[str, float] | None = None,
        muon: Collection[str] = (),
    ) -> None:
        self.settings = settings
        self.parameters = dict(parameters)
        self.masters = {
            name: p if p.dtype == torch.float32 else nn.Parameter(p.detach().float())
            for name, p in parameters.items()
        }
        self._copied = [n for n, p in parameters.items() if self.masters[n] is not p]
        matrices = {name: self.masters[name] for name in muon}
        others = {name: p for name, p in self.masters.items() if name not in matrices}
        self._adam = _adam(_groups(others, settings.learning_rate, rates or {}), settings)
        self._muon = _muon(matrices, settings) if matrices else None

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        for parameter in (*self.parameters.values(), *self.masters.values()):
            parameter.grad = None

    def step(self, step: int) -> float:
        """Move every parameter by its gradient.

        Args:
            step: which one, counted from 0; it sets the rates.

        Returns:
            The norm of the gradient before it was clipped; where it is not finite, nothing has
            moved.
        """
        for name in self._copied:
            gradient = self.parameters[name].grad
            self.masters[name].grad = None if gradient is None else gradient.float()
        norm = self._clip()
        if not math.isfinite(norm):
            return norm
        factor = self.settings.factor(step)
        for optimizer in self._all():
            for group in optimizer.param_groups:
                rate = group["peak"] * factor
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
            optimizer.step()
        self.follow()
        return norm

    def _all(self) -> list[Any]:
        return [self._adam] + [self._muon] * (self._muon is not None)

    def _clip(self) -> float:
        """Scale the gradients down to the largest norm; returns their norm before."""
        masters = list(self.masters.values())
        divided = [master for master in masters if isinstance(master, DTensor)]
        if not divided:
            return float(nn.utils.clip_grad_norm_(masters, self.settings.clip))
        # Gates are whole in every process, which torch does not add up with what is divided.
        squares = torch.zeros((), device=divided[0].device)
        for some in (divided, [master for master in masters if not isinstance(master, DTensor)]):
            gradients = [master.grad for master in some if master.grad is not None]
            if gradients:
                part = nn.utils.get_total_norm(gradients)
                squares += (part.full_tensor() if isinstance(part, DTensor) else part).square()
        norm = squares.sqrt()
        for some in (divided, [master for master in masters if not isinstance(master, DTensor)]):
            nn.utils.clip_grads_with_norm_(some, self.settings.clip, norm)
        return float(norm)

    @torch.no_grad()
    def follow(self) -> None:
        """Have parameters that are held in less than float32 follow their masters."""
        for name in self._copied:
            self.parameters[name].copy_(self.masters[name])

    def state(self) -> dict[str, Tensor]:
        """What is needed to go on, by name: moments, and masters that are not the parameters."""
        state = {f"masters/{name}": self.masters[name].detach() for name in self._copied}
        moments = {p: kinds for optimizer in self._all() for p, kinds in optimizer.state.items()}
        for name, master in self.masters.items():
            for kind, value in moments.get(master, {}).items():
                for part in _EIGHT_BIT if hasattr(value, "codes") else ("",):
                    state[f"{kind}{part and '.'}{part}/{name}"] = (
                        getattr(value, part) if part else value
                    )
        return state

    def prepare(self, names: Collection[str]) -> None:
        """Have moments, to be read into, of the parameters that a checkpoint has them of.

        A parameter that no batch had reached has none.

        Args:
            names: of the tensors in the checkpoint, as `state` calls them.
        """
        for optimizer in self._all():
            optimizer.state.clear()
        for name, master in self.masters.items():
            if self._muon is not None and f"{_MOMENTUM}/{name}" in names:
                self._muon.state[master] = {_MOMENTUM: torch.zeros_like(master)}
            elif f"step/{name}" in names:
                made = {
                    kind: self._adam._new_buffer(master, kind == "exp_avg")
                    if self.settings.moments == "8bit"
                    else torch.zeros_like(master)
                    for kind in ("exp_avg", "exp_avg_sq")
                }
                self._adam.state[master] = {"step": torch.zeros((), device=master.device), **made}


class Average:
    """The exponential moving average of trained weights, in float32.

    Args:
        weights: by name; averaged as they move.
        decay: of the average, less in the first steps; 0 for none.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._weights = [_local(weight.detach()) for weight in weights.values()]
        self._decay = decay
        self.values = {n: w.detach().clone() for n, w in weights.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step, counted from 0, into the average."""
        if not self.values:
            return
        decay = min(self._decay, (1 + step) / (10 + step))
        mine = [_local(value) for value in self.values.values()]
        torch._foreach_lerp_(mine, self._weights, 1 - decay)

    @contextmanager
    def placed(self, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
        """Have the averages in the parameters of the same names, and what was there afterwards.

        Averages and parameters change places, one after the other, so that hardly anything is held
        twice.
        """
        if not self.values:
            yield
            return
        kept = {n: p.detach().clone() for n, p in parameters.items() if p.dtype != torch.float32}
        whole = {name: p for name, p in parameters.items() if name not in kept}
        check_alike(parameters, self.values)
        copy_all({n: parameters[n] for n in kept}, {n: self.values[n] for n in kept})
        self._exchange(whole)
        try:
            yield
        finally:
            self._exchange(whole)
            copy_all({n: parameters[n] for n in kept}, kept)

    @torch.no_grad()
    def _exchange(self, parameters: Mapping[str, nn.Parameter]) -> None:
        for name, parameter in parameters.items():
            before = parameter.detach().clone()
            parameter.copy_(self.values[name])
            self.values[name].copy_(before)


def check_moments(settings: Optimization, processes: int) -> None:
    """Refuse 8-bit moments on several processes, before the work, with a ValueError."""
    if settings.moments == "8bit" and processes > 1:
        raise ValueError(
            f"key 'optimization.moments' is '8bit', which is for one process; expected 'fp32' "
            f"for {processes}"
        )


def check_muon(processes: int) -> None:
    """Refuse Muon on several processes or without torch's own, before the work, by ValueError."""
    if processes > 1:
        raise ValueError(
            f"key 'optimization.matrices' is 'muon', which is for one process; expected 'adamw' "
            f"for {processes}"
        )
    if not hasattr(torch.optim, "Muon"):
        raise ValueError("this torch has no Muon: pip install 'torch>=2.9'")


def _adam(groups: list[dict[str, Any]], settings: Optimization) -> Any:
    """AdamW with moments of the asked precision."""
    options: dict[str, Any] = {"betas": settings.betas, "weight_decay": settings.weight_decay}
    if settings.moments == "fp32":
        return torch.optim.AdamW(groups, fused=True, **options)
    if any(isinstance(one, DTensor) for group in groups for one in group["params"]):
        raise ValueError("key 'moments' is '8bit', which is for one process; expected 'fp32'")
    return eight_bit()(groups, **options)


def _muon(matrices: Mapping[str, nn.Parameter], settings: Optimization) -> Any:
    """Muon with steps as large as AdamW's."""
    check_muon(1)
    rate = settings.learning_rate
    group = {"params": list(matrices.values()), "peak": rate, "lr": rate}
    return torch.optim.Muon(
        [group], weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
    )


def eight_bit() -> Any:
    """torchao's AdamW with 8-bit moments.

    Raises:
        ValueError: says how to install it.
    """
    try:
        from torchao.optim import AdamW8bit
    except ImportError:
        raise ValueError(
            "key 'moments' is '8bit', which needs torchao: pip install torchao"
        ) from None
    return AdamW8bit


def _local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor that is divided, as a view."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def check_alike(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Refuse tensors of other names or shapes with a ValueError."""
    for name in sorted(into.keys() ^ values.keys()):
        raise ValueError(f"{show(name)} is {'missing' if name in into else 'too much'}")
    for name, target in into.items():
        if target.shape != values[name].shape:
            shapes = f"{tuple(values[name].shape)}, expected {tuple(target.shape)}"
            raise ValueError(f"{show(name)} has shape {shapes}")


@torch.no_grad()
def copy_all(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy tensors of the same names and shapes.

    Raises:
        ValueError: if names or shapes differ; nothing is copied then.
    """
    check_alike(into, values)
    for name, target in into.items():
        target.copy_(values[name])


def _groups(
    parameters: Mapping[str, nn.Parameter], rate: float, rates: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Matrices with weight decay, vectors without, and those with a rate of their own without."""
    matrices, vectors = [], []
    own: dict[str, list[nn.Parameter]] = {text: [] for text in rates}
    for name, parameter in parameters.items():
        text = next((text for text in rates if text in name), None)
        if text is not None:
            own[text].append(parameter)
        elif parameter.ndim < 2:
            vectors.append(parameter)
        else:
            matrices.append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": matrices, "peak": rate},
        {"params": vectors, "peak": rate, "weight_decay": 0.0},
    ]
    groups += [{"params": own[t], "peak": rates[t], "weight_decay": 0.0} for t in rates]
    return [{**group, "lr": group["peak"]} for group in groups if group["params"]]
