"""Shuffled SGD's epochs and SVAG's first member: what sets these kernels apart from SGD."""

import math

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.stats import check_mean


class Counter(sg.Objective):
    """ℓᵢ(θ) = θᵢ: −θ/η·B counts how often each sample was used."""

    def __init__(self, n: int) -> None:
        self.dim = self.n = n

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return theta if batch is None else theta.gather(1, batch)


@pytest.mark.parametrize(("n", "batch"), [(6, 2), (7, 3), (5, 5), (4, 1)])
def test_shuffled_sgd_visits_each_sample_once_per_epoch(n: int, batch: int) -> None:
    eta, epoch = 0.25, n // batch
    kernel = sg.kernels.ShuffledSGD(Counter(n), batch, eta)
    marks = [k * eta for k in range(1, 2 * epoch + 1)]
    run = sg.simulate(kernel, torch.zeros(n, dtype=torch.float64), horizon=marks[-1], save=marks, paths=500, seed=1)
    counts = (-run.states / eta * batch).round(decimals=6)  # [ticks, paths, n]
    for k, seen in enumerate(counts[:epoch], 1):
        assert set(seen.unique().tolist()) <= {0.0, 1.0}
        assert bool((seen.sum(1) == k * batch).all())
    second = counts[epoch:] - counts[epoch - 1]
    assert set(second[-1].unique().tolist()) <= {0.0, 1.0}
    if epoch > 1:
        assert not torch.equal(second[0], counts[0])  # a fresh permutation
        assert len({tuple(row) for row in counts[0].tolist()}) == math.comb(n, batch)


def test_with_replacement_does_not() -> None:
    run = sg.simulate(sg.kernels.SGD(sg.noises.Minibatch(Counter(6), 2), 0.25), torch.zeros(6).double(), horizon=0.75, paths=500, seed=1)
    assert float((-run.states / 0.25 * 2).max()) > 1.5


def test_shuffled_batches_have_the_stated_cross_covariance() -> None:
    """Two batches of an epoch: −(1/(n−1))·(1/n)Σ(gᵢ−g)(gᵢ−g)ᵀ, here −(I − 11ᵀ/n)/(n(n−1)). 6e4 paths, false alarm 1e-6; zero (independent batches) fails."""
    n, eta = 5, 0.5
    kernel = sg.kernels.ShuffledSGD(Counter(n), 2, eta)
    run = sg.simulate(kernel, torch.zeros(n, dtype=torch.float64), horizon=1.0, save=(0.5, 1.0), paths=60_000, seed=2)
    first = -run.states[0] / eta - 1 / n
    second = -(run.states[1] - run.states[0]) / eta - 1 / n
    expected = -(torch.eye(n) - 1 / n) / (n * (n - 1))
    products = (first[:, :, None] * second[:, None, :]).flatten(1)
    check_mean(products, expected.flatten(), rounding=1e-12)
    with pytest.raises(AssertionError):
        check_mean(products, 0.0)


def test_svag_one_is_sgd() -> None:
    """Its first gradient is SGD's and its second has weight 0: one step on one stream is the same step."""
    for noise in (sg.noises.Gaussian.examples()[0], sg.noises.Minibatch.examples()[1]):
        kernels = sg.kernels.SGD(noise, 0.1), sg.kernels.SVAG(noise, 0.1, 1)
        a, b = (sg.simulate(k, [0.5] * k.dim, horizon=0.1, paths=50, seed=3).states for k in kernels)
        assert torch.allclose(a, b, rtol=1e-14)
