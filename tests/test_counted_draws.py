"""Draws of counters: the law of the generator's, several draws of a tick apart from each other, permutations, steps that the objective takes itself."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import scipy.stats
import torch
from counted_cases import BATCHES, ETA, KERNELS, KEY, STABLE, T64, WELL, network
from torch import Tensor

import sgdsde as sg
from sgdsde.counter import counter_words
from sgdsde.kernels import CounterStreams, HeavyBall, OptimizerSGD, ShuffledSGD
from sgdsde.kernels.draws import DRAWS, TICKS, Counted, step_of
from sgdsde.types import InputError


def distance(kernel: Any, other: Any) -> float:
    """The least p-value of two-sample Kolmogorov–Smirnov in the coordinates after 4 ticks, 20,000 paths each."""
    a, b = (
        sg.simulate(each, [0.3] * kernel.dim, horizon=4 * ETA, paths=20_000, seed=seed, progress=False).states[-1] for each, seed in ((kernel, 7), (other, 8))
    )
    return min(scipy.stats.ks_2samp(a[:, i].numpy(), b[:, i].numpy()).pvalue for i in range(kernel.dim))


@pytest.mark.parametrize("name", list(KERNELS))
def test_the_law_is_that_of_the_generator(name: str) -> None:
    """False alarm 1e-6 for each coordinate; resolves 3 % of the law. Mutants below: other momentum, the other update, batches with replacement."""
    assert distance(CounterStreams(KERNELS[name]), KERNELS[name]) > 1e-6


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("heavy ball, normals", OptimizerSGD(WELL, ETA, update=HeavyBall(0.7))),
        ("Nesterov, stable", OptimizerSGD(STABLE, ETA, update=HeavyBall(0.5))),
        ("shuffled", sg.kernels.SGD(BATCHES, ETA)),
    ],
)
def test_another_law_is_noticed(name: str, mutant: Any) -> None:
    assert distance(CounterStreams(mutant), KERNELS[name]) < 1e-6


class Repeated(Counted):
    """Mutant: every draw of a tick with the same counter."""

    def gradient(self, noise: sg.Noise, theta: Tensor, k: int, j: int = 0) -> Tensor:
        return super().gradient(noise, theta, k)


def correlation(draws: Counted) -> float:
    """The largest of signs between draws of one tick, and the next tick's first, over 40,000 paths."""
    theta = torch.zeros(40_000, 2, dtype=T64)
    signs = [draws.gradient(WELL, theta, k, j)[:, 0].sign() for k, j in ((0, 0), (0, 1), (0, 2), (0, DRAWS - 1), (1, 0), (1, 1))]
    return max(abs(float((a * b).mean())) for i, a in enumerate(signs) for b in signs[:i])


def test_draws_of_a_tick_are_independent() -> None:
    """False alarm 1e-6 over the 15 pairs together; resolves a correlation of 3 %."""
    limit = scipy.stats.norm.isf(1e-6 / 30) / 200
    paths = torch.arange(40_000)
    assert correlation(Counted(KEY, paths)) < limit
    assert correlation(Repeated(KEY, paths)) > limit


class Paired(Counted):
    """Mutant: both draws of a step of SVAG with one counter."""

    def gradient(self, noise: sg.Noise, theta: Tensor, k: int, j: int = 0) -> Tensor:
        return super().gradient(noise, theta, k, j // 2)


def test_one_tick_of_svag_has_the_variance_of_sgd(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a quadratic, l = 3: (η/l)²·lΣ·Σ_j(1 − ηλ/l)^{2j}, j < l, exactly; 5σ of a sample variance, 5 %. Mutant: pairs alike have 1/l of it."""
    noise, paths = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 0.25), 20_000
    kernel = CounterStreams(sg.kernels.SVAG(noise, ETA, 3))
    expected = ETA**2 * 0.25 / 3 * sum((1 - ETA / 3) ** (2 * j) for j in range(3))

    def ratio() -> float:
        return float(sg.simulate(kernel, [1.0], horizon=ETA, paths=paths, seed=2, progress=False).states[-1].var()) / expected

    assert abs(ratio() - 1) < 5 * (2 / paths) ** 0.5
    monkeypatch.setattr("sgdsde.kernels.counter_streams.Counted", Paired)
    assert abs(ratio() - 1 / 3) < 5 * (2 / paths) ** 0.5


def test_permutations_are_uniform() -> None:
    """All 24 of four samples equally often among 48,000, by χ²; false alarm 1e-6, resolves 4 % of a share. Mutant: a cyclic shift by a uniform number."""

    def p(orders: Tensor) -> float:
        places = (orders * torch.tensor([64, 16, 4, 1])).sum(1)
        every = [sum(i * w for i, w in zip(row, (64, 16, 4, 1), strict=True)) for row in itertools.permutations(range(4))]
        counts = [int((places == place).sum()) for place in every]
        assert sum(counts) == len(orders)
        return float(scipy.stats.chisquare(counts).pvalue)

    draws = Counted(KEY, torch.arange(48_000))
    orders = draws.orders(torch.zeros(48_000, 1), 4, 0)
    assert p(orders) > 1e-6
    assert p((torch.arange(4) + orders[:, :1]) % 4) < 1e-6


@pytest.mark.parametrize("kind", ["with replacement", "without", "shuffled"])
def test_steps_of_the_objective_are_those_of_its_gradient(kind: str) -> None:
    """To rounding, on the same batches, many ticks at once. Mutant: the batches of another seed."""
    f = network(3)
    noise = sg.noises.Minibatch(f, 2) if kind == "with replacement" else sg.noises.MinibatchWithoutReplacement(f, 2)
    quick, slow = (
        (ShuffledSGD(f, 2, ETA), ShuffledSGD(f, 2, ETA, update=HeavyBall(0.0)))
        if kind == "shuffled"
        else (sg.kernels.SGD(noise, ETA), OptimizerSGD(noise, ETA))
    )
    assert CounterStreams(quick).leaps
    assert not CounterStreams(slow).leaps
    options: dict[str, Any] = {"horizon": 20 * ETA, "paths": 30, "seed": 3, "progress": False}
    found, expected = (sg.simulate(CounterStreams(kernel), f.flatten(), **options).states[-1] for kernel in (quick, slow))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    other = sg.simulate(CounterStreams(quick), f.flatten(), **(options | {"seed": 4})).states[-1]
    assert float((found - other).abs().max()) > 1e-3


def test_counters_are_numbered_apart() -> None:
    """Ticks and draws share no counter; beyond the last tick there is none."""
    assert step_of(5, 0) == 5
    assert step_of(TICKS - 1, DRAWS - 1) == 2**64 - 1
    assert counter_words(KEY, step_of(0, DRAWS - 1), torch.arange(6), 1).shape == (6, 1)
    with pytest.raises(InputError, match="no counter of its own"):
        step_of(TICKS, 0)
