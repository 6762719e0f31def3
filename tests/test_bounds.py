"""PAC-Bayes bounds: inverse entropies against their definition and binomial tails, divergences against torch, shapes against dense matrices, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

import sgdsde as sg
from sgdsde import bounds
from sgdsde.bounds.pac_bayes import prior_variance, share_of
from sgdsde.rng import stream
from sgdsde.types import InputError


def small(n: int = 60) -> tuple[sg.objectives.Network, torch.Tensor, torch.Tensor]:
    generator = stream(3, "bounds")
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
    network = sg.objectives.Network(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double(), "cross_entropy", x, y)
    start = network.initial(1, generator).double()
    run = sg.training.train(network, start, optimiser=sg.training.SGD(0.3), batch_size=10, steps=200, seed=1)
    return network, run.final[0], start[0]


@pytest.mark.parametrize("q", [0.0, 0.03, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("c", [0.0, 1e-4, 0.05, 1.0])
def test_the_inverse_is_the_largest_probability_within_the_budget(q: float, c: float) -> None:
    p = bounds.kl_inverse(q, c)
    assert bounds.kl(q, max(0.0, p - 1e-12)) <= c + 1e-9 if p > q else c < 1e-9 or q == 1
    assert p >= q
    if p < 1 - 1e-9:
        assert bounds.kl(q, min(1.0, p + 1e-7)) > c
    assert q == 1 or p <= q + math.sqrt(c / 2) + 1e-7  # Pinsker


def test_chernoff_covers_the_binomial_and_half_its_budget_does_not() -> None:
    """P(limit < e) ≤ δ exactly, summed over the binomial law; a mutant with a budget of ln(1/δ)/(2m) is above δ somewhere."""

    def miss(e: float, m: int, delta: float, factor: float) -> float:
        successes = np.arange(m + 1)
        limits = np.array([bounds.kl_inverse(k / m, factor * math.log(1 / delta) / m) for k in successes])
        return float(scipy.stats.binom.pmf(successes, m, e)[limits < e].sum())

    grid = [(e, m) for e in (0.05, 0.2, 0.5, 0.8) for m in (10, 60)]
    assert max(miss(e, m, 0.1, 1.0) for e, m in grid) <= 0.1
    assert max(miss(e, m, 0.1, 0.25) for e, m in grid) > 0.1
    assert bounds.chernoff(0.2, 100, 0.05) == pytest.approx(bounds.kl_inverse(0.2, math.log(20) / 100))


def test_maurers_constant_covers_the_binomial_for_one_posterior() -> None:
    """Q = P (KL = 0): the bound on a fixed classifier's error fails with probability at most δ, summed over the binomial law."""
    n, delta = 30, 0.1
    for e in (0.02, 0.1, 0.4):
        limits = np.array([bounds.maurer(k / n, 0.0, n, delta) for k in range(n + 1)])
        assert float(scipy.stats.binom.pmf(np.arange(n + 1), n, e)[limits < e].sum()) <= delta
    assert bounds.maurer(0.1, 5.0, 100, 0.05) == pytest.approx(bounds.kl_inverse(0.1, (5 + math.log(2 * 10 / 0.05)) / 100))


def test_the_divergence_is_torchs() -> None:
    curvatures = torch.tensor([0.0, 0.3, 4.0]).double()
    basis = torch.linalg.qr(torch.randn(3, 3, generator=stream(1, "q"), dtype=torch.float64))[0]
    shape = bounds.Shape("any", curvatures, basis)
    w, w0, beta, sigma = torch.tensor([1.0, -2.0, 0.5]).double(), torch.zeros(3).double(), 7.0, 0.6
    normal = torch.distributions.MultivariateNormal
    wanted = torch.distributions.kl_divergence(normal(w, shape.covariance(beta, sigma)), normal(w0, sigma**2 * torch.eye(3).double()))
    assert bounds.divergence(shape, float(((w - w0) ** 2).sum()), beta, sigma) == pytest.approx(float(wanted), rel=1e-12)
    assert bounds.divergence(shape, 0.0, 0.0, sigma) == pytest.approx(0)  # β = 0: the prior itself
    z = torch.randn(200_000, 3, generator=stream(2, "z"), dtype=torch.float64)
    sg.stats.check_covariance(shape.displace(z, beta, sigma), shape.covariance(beta, sigma))  # false alarm 1e-6; resolves 1.5 %
    transposed = bounds.Shape("mutant", curvatures, basis.T.contiguous())
    with pytest.raises(sg.stats.CheckFailed):
        sg.stats.check_covariance(transposed.displace(z, beta, sigma), shape.covariance(beta, sigma))


def test_each_shape_minimises_its_objective_over_its_basis() -> None:
    """S is a stationary point of β·½tr(GS) + KL along every direction of its family, and richer bases reach lower values."""
    network, w, _ = small()
    G = sg.curvature.gauss_newton_operator(network, w).dense()
    beta, sigma = 40.0, 0.8
    values = {}
    for name, shape in bounds.shapes(network, w).items():
        basis = torch.eye(network.dim).double() if shape.basis is None else shape.basis
        assert torch.allclose(basis.T @ basis, torch.eye(network.dim).double(), atol=1e-10)
        assert bool((shape.curvatures >= 0).all())
        best = shape.variances(beta, sigma)
        quadratic = (basis * (G @ basis)).sum(0)

        def objective(s: torch.Tensor, quadratic: torch.Tensor = quadratic) -> float:
            return 0.5 * float((beta * quadratic * s + s / sigma**2 - s.log()).sum())

        values[name] = objective(best)
        for factor in (0.9, 1.1):
            assert objective(best * factor) > values[name]
            if name != "isotropic":
                bent = best.clone()
                bent[::3] *= factor
                assert objective(bent) > values[name]
    assert values["isotropic"] >= values["diagonal"] >= values["eigenbasis"]
    assert values["Kronecker"] >= values["eigenbasis"]
    eigen = bounds.shapes(network, w, ("eigenbasis",))["eigenbasis"].covariance(beta, sigma)
    assert torch.allclose(torch.linalg.inv(eigen), beta * G + torch.eye(network.dim).double() / sigma**2, rtol=1e-6, atol=1e-6)


def test_the_union_over_prior_widths_costs_no_more_than_its_share() -> None:
    assert sum(share_of(j, 0.05) for j in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)
    assert prior_variance(1) == 1
    assert prior_variance(5) == pytest.approx(math.exp(-1))


def test_a_bound_pays_for_its_draws_and_holds_on_fresh_data() -> None:
    network, w, w0 = small()
    shape = bounds.shapes(network, w)["diagonal"]
    found = bounds.pac_bayes(network, w, w0, shape, draws=200, tuning_draws=5, seed=0)
    assert found.before_sampling < found.value <= 1
    assert found.error < found.error_limit == pytest.approx(bounds.chernoff(found.error, 200, 0.025))
    assert found.value == pytest.approx(bounds.maurer(found.error_limit, found.divergence, network.n, share_of(found.index, 0.025)))
    assert found.divergence == pytest.approx(bounds.divergence(shape, float(((w - w0) ** 2).sum()), found.beta, found.sigma))
    more = bounds.pac_bayes(network, w, w0, shape, draws=5000, tuning_draws=5, seed=0)
    assert more.error_limit - more.error < found.error_limit - found.error
    generator = stream(4, "fresh")
    x = torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
    drawn = w + shape.displace(torch.randn(50, network.dim, generator=generator, dtype=torch.float64), found.beta, found.sigma)
    assert float((network.outputs(drawn, x).argmax(2) != y).double().mean()) < found.value


def test_bad_input_is_refused_in_words() -> None:
    network, w, w0 = small()
    shape = bounds.shapes(network, w, ("isotropic",))["isotropic"]
    with pytest.raises(InputError, match="Did you mean 'Kronecker'"):
        bounds.shapes(network, w, ("kronecker",))
    with pytest.raises(InputError, match="at least one"):
        bounds.pac_bayes(network, w, w0, shape, draws=0, seed=0)
    with pytest.raises(InputError, match="n ≥ 8"):
        bounds.maurer(0.1, 1.0, 5, 0.05)
    for wrong in (lambda: bounds.kl(1.2, 0.5), lambda: bounds.kl_inverse(0.1, -1), lambda: bounds.chernoff(0.1, 10, 0.0)):
        with pytest.raises(InputError):
            wrong()
    regression = sg.objectives.Network(nn.Linear(4, 1).double(), "mse", network.inputs.original, network.inputs.original[:, :1])
    with pytest.raises(InputError, match="integer classes"):
        bounds.pac_bayes(regression, torch.zeros(5).double(), torch.zeros(5).double(), bounds.Shape("any", torch.ones(5).double()), seed=0)
