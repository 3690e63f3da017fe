"""The loop apart from any model: low precision, rates, averages, resuming, hooks."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tora2.training.distributed import World
from tora2.training.loop import Loop
from tora2.training.optimizer import Optimization, check_moments

SETTINGS = Optimization(
    steps=40, learning_rate=3e-6, warmup=1, horizon=10**6, precision="fp32", weight_decay=0.0
)


MATRICES = ("net.layer.weight",)


class Net(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(8, 8)
        self.gate_p = nn.Parameter(torch.zeros(()))
        with torch.no_grad():  # the same start in either precision
            self.layer.weight.copy_(self.layer.weight.bfloat16())
            self.layer.bias.copy_(self.layer.bias.bfloat16())
        self.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.to(self.layer.weight.dtype)).float() * (1 + self.gate_p.float())


def make(
    folder: Path,
    dtype: torch.dtype = torch.float32,
    ema: float = SETTINGS.ema,
    muon: tuple[str, ...] = (),
) -> Loop:
    net = Net(dtype)

    def source(step: int, generator: torch.Generator) -> Tensor:
        return torch.randn(16, 8, generator=generator)

    def objective(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        loss = (net(batch) - batch.flip(-1)).square().mean()
        return loss, {"seen": float(len(batch))}

    parts = nn.ModuleDict({"net": net})
    world = World(torch.device("cpu"))
    settings = replace(SETTINGS, ema=ema)
    rates = {".gate_": 1e-3}
    return Loop(parts, source, objective, settings, 0, world, folder, rates, muon=muon)


def everything(loop: Loop) -> dict[str, Tensor]:
    """Weights, masters and moments by name."""
    return {**loop.parts.state_dict(), **loop.average.values, **loop.optimizer.state()}


def moved(loop: Loop) -> dict[str, Tensor]:
    """How far every master went from the weights that both precisions start from."""
    start = dict(Net(torch.float32).named_parameters())
    masters = loop.optimizer.masters
    return {n: (m - start[n.removeprefix("net.")]).detach() for n, m in masters.items()}


def test_a_part_held_in_bfloat16_moves_as_one_in_float32_does(tmp_path: Path) -> None:
    """Forty steps of 3e-6 are far below what bfloat16 tells apart at most of these weights."""
    whole, low = make(tmp_path), make(tmp_path, torch.bfloat16)
    for _ in range(40):
        whole.train_step()
        low.train_step()
    theirs = moved(whole)
    for name, mine in moved(low).items():
        assert float((mine - theirs[name]).norm()) < 0.05 * float(theirs[name].norm()), name
    weight = low.trained["net.layer.weight"]
    assert weight.dtype == torch.bfloat16
    assert torch.equal(weight, low.optimizer.masters["net.layer.weight"].bfloat16())
    assert low.average.values["net.layer.weight"].dtype == torch.float32
    assert float(moved(low)["net.layer.weight"].abs().max()) > 3e-5


@pytest.mark.parametrize("muon", [(), MATRICES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_is_the_same_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype, muon: tuple[str, ...]
) -> None:
    whole, first = make(tmp_path / "a", dtype, muon=muon), make(tmp_path / "b", dtype, muon=muon)
    whole.run()
    for _ in range(17):
        first.train_step()
    first.save()
    second = make(tmp_path / "b", dtype, muon=muon)
    assert second.resume() and second.step == 17
    second.run()
    a, b = everything(whole), everything(second)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert ("masters/net.layer.weight" in a) == (dtype == torch.bfloat16)
    assert ("momentum_buffer/net.layer.weight" in a) == bool(muon)
    assert ("exp_avg/net.layer.weight" in a) == (not muon)
    other = torch.bfloat16 if dtype == torch.float32 else torch.float32
    with pytest.raises(ValueError, match="masters/net.gate_p"):
        make(tmp_path / "a", other, muon=muon).resume()


def test_muon_moves_a_matrix_alike_in_all_directions_and_adamw_the_rest(tmp_path: Path) -> None:
    one, other = make(tmp_path / "a", muon=MATRICES), make(tmp_path / "b")
    for loop in (one, other):
        loop.train_step()
    mine, theirs = moved(one), moved(other)
    spread, plain = (torch.linalg.svdvals(m.pop(*MATRICES)) for m in (mine, theirs))
    assert float(spread[-1] / spread[0]) > 0.4 > float(plain[-1] / plain[0])
    assert float(spread.norm() / plain.norm()) == pytest.approx(0.2, rel=0.2)
    assert all(torch.equal(move, theirs[name]) for name, move in mine.items())


def test_muon_says_which_torch_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    make(tmp_path)
    with pytest.raises(ValueError, match=r"no Muon: pip install 'torch>=2\.9'"):
        make(tmp_path, muon=MATRICES)


def test_averages_are_placed_and_taken_back_also_after_an_error(tmp_path: Path) -> None:
    loop = make(tmp_path, torch.bfloat16)
    for _ in range(3):
        loop.train_step()
    kept = {name: p.detach().clone() for name, p in loop.trained.items()}
    with pytest.raises(KeyError), loop.averaged():
        assert not loop.parts.training
        for name, parameter in loop.trained.items():
            assert torch.equal(parameter, loop.average.values[name].to(parameter.dtype))
        raise KeyError
    assert loop.parts.training
    assert all(torch.equal(p, kept[name]) for name, p in loop.trained.items())


def test_averages_and_weights_change_places_and_no_gradient_is_left(tmp_path: Path) -> None:
    loop = make(tmp_path)
    for _ in range(3):
        loop.train_step()
    before = {name: value.clone() for name, value in loop.average.values.items()}
    weights = {name: p.detach().clone() for name, p in loop.trained.items()}
    with loop.averaged():
        assert all(torch.equal(p, before[name]) for name, p in loop.trained.items())
    assert all(torch.equal(p, weights[name]) for name, p in loop.trained.items())
    assert all(torch.equal(v, before[name]) for name, v in loop.average.values.items())

    def look(step: int, measures: dict[str, float]) -> None:
        held = (*loop.trained.values(), *loop.optimizer.masters.values())
        assert all(parameter.grad is None for parameter in held)

    loop.run([look])


def test_without_a_decay_there_is_no_average(tmp_path: Path) -> None:
    loop = make(tmp_path, ema=0.0)
    loop.train_step()
    weights = {name: p.detach().clone() for name, p in loop.trained.items()}
    with loop.averaged():
        assert all(torch.equal(p, weights[name]) for name, p in loop.trained.items())
    loop.save()
    assert loop.average.values == {} and make(tmp_path, ema=0.0).resume()


def test_eight_bit_moments_are_for_one_process() -> None:
    settings = replace(SETTINGS, moments="8bit")
    check_moments(settings, 1)
    with pytest.raises(ValueError, match="'optimization.moments' is '8bit', which is for one"):
        check_moments(settings, 2)


def test_the_rate_warms_up_follows_the_cosine_and_cools_down() -> None:
    o = Optimization(steps=100, warmup=10, cooldown=20, final_learning_rate=0.1)
    assert o.factor(0) == pytest.approx(0.1)
    assert o.factor(50) == pytest.approx(0.1 + 0.9 * 0.5)
    assert o.factor(90) == pytest.approx(0.5 * (0.1 + 0.9 * 0.5 * (1 + math.cos(0.9 * math.pi))))
    assert o.factor(100) == 0


def test_hooks_are_called_in_turn_and_may_stop(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def first(step: int, measures: dict[str, float]) -> None:
        measures["added"] = 1.0
        seen.append(("first", step))

    def second(step: int, measures: dict[str, float]) -> None:
        assert {"loss", "gradient_norm", "seen", "seconds", "added"} == measures.keys()
        seen.append(("second", step))
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path).run([first, second])
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
