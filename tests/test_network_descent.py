"""SGD steps that write no gradient: the same path as through gradients to rounding, the same in one leap or tick by tick to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from chain_networks import T64, classifier, close, convolution, generator, huber, normal, regression, soft
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.calculus import weighted_grad
from sgdsde.kernels import SGD, HeavyBall, ShuffledSGD, StepDecay
from sgdsde.noises import LabelNoise, Minibatch, MinibatchWithoutReplacement
from sgdsde.objective import Objective
from sgdsde.objectives import Network, WeightDecay, network_columns, network_descent
from sgdsde.types import Status

ETA, STEPS = 0.3, 4

CASES = [
    *[pytest.param(classifier(activation), id=activation.__name__) for activation in (nn.Tanh, nn.Sigmoid, nn.ReLU, nn.SiLU, nn.GELU)],
    pytest.param(classifier(bias=False), id="without a bias"),
    pytest.param(regression(last=nn.Sigmoid()), id="mse of a sigmoid"),
    pytest.param(regression(huber), id="user's loss"),
    pytest.param(soft(), id="soft labels"),
    pytest.param(WeightDecay(classifier(), 0.2), id="weight decay"),
    pytest.param(WeightDecay(WeightDecay(regression(), 0.2), 0.1), id="weight decay twice"),
]
every = pytest.mark.parametrize("f", CASES)
#: how many replicas and samples send a chain which way
WAYS = {"samples first": (5, 3), "features first": (5, 17), "one sample": (5, 1), "columns": (140, 3), "columns of one sample": (140, 1)}


def through_gradients(f: Objective, theta: Tensor, batches: Tensor, eta: float = ETA) -> Tensor:
    """The simple way."""
    for batch in batches:
        theta = theta - eta * weighted_grad(f, theta, None, batch)
    return theta


def draws(f: Objective, way: str) -> tuple[Tensor, Tensor]:
    paths, batch = WAYS[way]
    return normal(paths, f.dim, seed=1), torch.randint(f.n, (STEPS, paths, batch), generator=generator(2))


def descend(f: Objective, theta: Tensor, batches: Tensor) -> Tensor:
    assert f.facts.descend is not None
    return f.facts.descend(theta, batches, ETA, 0.0)


@every
@pytest.mark.parametrize("way", WAYS)
def test_steps_without_gradients_are_those_with_them(f: Objective, way: str) -> None:
    theta, batches = draws(f, way)
    before = theta.clone()
    close(descend(f, theta, batches), through_gradients(f, theta, batches), 1e-12)
    assert torch.equal(theta, before)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_taken_where_it_should_be(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the test above would compare one way five times."""
    f, seen, real = classifier(), [], network_descent._step

    def watched(*arguments: Any, rows: bool, **settings: Any) -> None:
        seen.append(rows)
        real(*arguments, rows=rows, **settings)

    monkeypatch.setattr(network_descent, "_step", watched)
    descend(f, *draws(f, way))
    assert seen == {"samples first": [True], "one sample": [True], "features first": [False]}.get(way, []) * STEPS


@pytest.mark.parametrize("way", WAYS)
def test_pieces_of_an_ensemble_are_the_ensemble(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f = classifier()
    theta, batches = draws(f, way)
    whole = descend(f, theta, batches)
    monkeypatch.setattr(network_descent, "replicas_in_a_piece", lambda numbers, device: 3)
    close(descend(f, theta, batches), whole, 1e-13)


@every
@pytest.mark.parametrize("way", WAYS)
def test_steps_at_once_are_steps_one_by_one_to_the_last_bit(f: Objective, way: str) -> None:
    theta, batches = draws(f, way)
    single = theta
    for batch in batches:
        single = descend(f, single, batch[None])
    assert torch.equal(descend(f, theta, batches), single)


@pytest.mark.parametrize("way", ["samples first", "features first", "columns"])
def test_float32_is_float64_to_its_rounding(way: str) -> None:
    f = regression()
    theta, batches = draws(f, way)
    close(descend(f, theta.float(), batches).to(T64), descend(f, theta, batches), 3e-6)


MUTANTS = {
    "sum for mean": lambda f, theta, batches: through_gradients(f, theta, batches, ETA * batches.shape[2]),
    "wrong sign": lambda f, theta, batches: through_gradients(f, theta, batches, -ETA),
    "samples of the next replica": lambda f, theta, batches: through_gradients(f, theta, batches.roll(1, 1)),
    "batches out of order": lambda f, theta, batches: through_gradients(f, theta, batches.flip(0)),
    "no decay": lambda f, theta, batches: through_gradients(f.objective, theta, batches),
}


@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.parametrize("way", WAYS)
def test_wrong_steps_are_seen(mutant: str, way: str) -> None:
    f = WeightDecay(classifier(), 0.2)
    theta, batches = draws(f, way)
    if mutant == "sum for mean" and batches.shape[2] == 1:
        return  # they are the same
    with pytest.raises(AssertionError):
        close(descend(f, theta, batches), MUTANTS[mutant](f, theta, batches), 1e-4)


@pytest.mark.parametrize("noise", [Minibatch, MinibatchWithoutReplacement])
@pytest.mark.parametrize("paths", [6, 130])
def test_a_run_is_the_run_through_gradients_whatever_it_saves(noise: type[Minibatch], paths: int) -> None:
    """One leap, saves in between, and the tick-by-tick run that a region or a diverging path asks for."""
    f = classifier()
    plain = classifier()
    plain.facts = replace(plain.facts, descend=None)
    fast, slow = SGD(noise(f, 3), ETA), SGD(noise(plain, 3), ETA)
    assert fast.leaps
    assert not slow.leaps
    theta, times = normal(f.dim, seed=3), [ETA * k for k in range(1, 13)]
    whole = sg.simulate(fast, theta, horizon=times[-1], paths=paths, seed=1, progress=False)
    often = sg.simulate(fast, theta, horizon=times[-1], save=times, paths=paths, seed=1, progress=False)
    simple = sg.simulate(slow, theta, horizon=times[-1], save=times, paths=paths, seed=1, progress=False)
    assert torch.equal(whole.states[-1], often.states[-1])
    close(often.states, simple.states, 1e-11)
    assert float((often.states[0] - simple.states[1]).abs().max()) > 1e-3  # one step is seen
    edge = float(simple.states.norm(dim=2).amax(0).median())  # about half of the paths leave
    assert edge > float(theta.norm())
    exits = [sg.exit_times(k, theta, region=lambda t: t.norm(dim=1) < edge, horizon=times[-1], paths=paths, seed=1).times for k in (fast, slow)]
    assert torch.equal(*exits)


@pytest.mark.parametrize("paths", [6, 130])
def test_shuffled_runs_are_those_through_gradients(paths: int) -> None:
    """Epochs of four batches and a sample left out; saves within an epoch and at its end."""
    f = classifier()
    plain = classifier()
    plain.facts = replace(plain.facts, descend=None)
    fast, slow = ShuffledSGD(f, 2, ETA), ShuffledSGD(plain, 2, ETA)
    assert fast.leaps
    assert not slow.leaps
    assert not ShuffledSGD(f, 2, ETA, update=HeavyBall(0.5)).leaps
    assert not ShuffledSGD(f, 2, ETA, schedule=StepDecay(3, 0.5)).leaps
    theta, times = normal(f.dim, seed=3), [ETA * k for k in (3, 4, 9, 10)]
    fine, whole, simple = (
        sg.simulate(kernel, theta, horizon=times[-1], save=save, paths=paths, seed=1, progress=False).states
        for kernel, save in ((fast, times), (fast, times[-1:]), (slow, times))
    )
    close(fine, simple, 1e-11)
    assert torch.equal(whole[-1], fine[-1])
    assert float((fine[0] - simple[1]).abs().max()) > 1e-3


def test_indices_of_many_steps_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    f = classifier()
    runs = []
    for most in (10, 10_000):
        monkeypatch.setattr(sg.kernels.sgd, "_INDICES", most)
        runs.append(sg.simulate(SGD(Minibatch(f, 2), ETA), normal(f.dim), horizon=ETA * 7, paths=4, seed=2, progress=False).states)
    assert torch.equal(*runs)


def test_paths_that_diverge_in_a_leap_are_told_at_their_tick() -> None:
    f = regression()
    plain = regression()
    plain.facts = replace(plain.facts, descend=None)
    theta = normal(20, f.dim, seed=4) * torch.tensor([1.0, 60.0], dtype=T64).repeat(10)[:, None]
    found = [sg.simulate(SGD(Minibatch(g, 1), 8.0), theta, horizon=8.0 * 300, seed=5, progress=False) for g in (f, plain)]
    diverged = [run.status == int(Status.DIVERGED) for run in found]
    assert 0 < int(diverged[0].sum()) <= 20
    assert torch.equal(*diverged)


def test_who_draws_in_another_way_goes_through_gradients() -> None:
    """Labels drawn anew, a subclass's own draws, and nets that are no chains."""

    class Own(Minibatch):
        def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
            return 2 * super().draw(theta, generator)

    f = regression()
    assert not SGD(LabelNoise(Minibatch(f, 2), 0.1), ETA).leaps
    assert not SGD(Own(f, 2), ETA).leaps
    assert not SGD(Minibatch(convolution(), 2), ETA).leaps
    theta, stream = normal(3, f.dim), generator(6)
    expected = theta - ETA * Own(f, 2).draw(theta, generator(6))
    kernel = SGD(Own(f, 2), ETA)
    close(kernel.advance(kernel.init(theta, stream), 0, stream).theta, expected, 1e-14)


def test_columns_are_for_many_tiny_replicas() -> None:
    chain = classifier().method.chain  # type: ignore[union-attr]
    dim = classifier().dim
    assert network_columns.suits_columns(chain, torch.zeros(200, dim), 4)
    assert not network_columns.suits_columns(chain, torch.zeros(20, dim), 4)
    assert not network_columns.suits_columns(chain, torch.zeros(200, dim), 400)
    assert isinstance(classifier(), Network)
