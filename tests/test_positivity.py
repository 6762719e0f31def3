"""When HA-SME's diffusion matrix is positive: the exact 2-D boundary, low-rank noise, the law of the defect, what projecting costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import sgdsde as sg
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.positivity import defect, pairwise_correlation_bound, predicted_defect, root_of
from sgdsde.types import DomainError, tallying

T64 = torch.float64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wishart(dim: int, rank: int, count: int, seed: int) -> torch.Tensor:
    """GGᵀ/rank, ``[count, dim, dim]``."""
    G = torch.randn(count, dim, rank, generator=generator(seed), dtype=T64)
    return G @ G.transpose(1, 2) / rank


def planar(correlation: torch.Tensor) -> torch.Tensor:
    """Covariances with unit variances, ``[P, 2, 2]``."""
    one = torch.ones_like(correlation)
    return torch.stack([torch.stack([one, correlation], -1), torch.stack([correlation, one], -1)], -2)


def test_the_boundary_in_two_dimensions_is_exact() -> None:
    """2,000 random (x₁, x₂) in (−2, 1)²: positive a millionth inside the bound, indefinite a millionth outside, for every pair."""
    x = 1 - 3 * torch.rand(2000, 2, generator=generator(0), dtype=T64)
    bound = pairwise_correlation_bound(x[:, 0], x[:, 1])
    assert bool((bound <= 1).all())
    assert float(bound.min()) < 0.6
    inside, outside = (planar(bound * factor) * phi_pair(x) for factor in (1 - 1e-6, 1 + 1e-6))
    assert bool((torch.linalg.eigvalsh(inside)[:, 0] > 0).all())
    distinct = (x[:, 0] - x[:, 1]).abs() > 1e-2
    assert bool((torch.linalg.eigvalsh(outside)[distinct, 0] < 0).all())


def test_the_boundary_written_with_h() -> None:
    """The same bound as √(h(2v₁)h(2v₂))/|h(v₁+v₂)|, h(v) = v/(eᵛ−1), v = log m; small steps: 1 − (x₁−x₂)²/24."""

    def h(v: torch.Tensor) -> torch.Tensor:
        return v / torch.expm1(v)

    x = torch.tensor([[0.3, 0.8], [-1.5, 0.4], [0.01, 0.95]], dtype=T64)
    v = torch.log1p(-x)
    wanted = (h(2 * v[:, 0]) * h(2 * v[:, 1])).sqrt() / h(v.sum(1)).abs()
    assert float((pairwise_correlation_bound(x[:, 0], x[:, 1]) - wanted).abs().max()) < 1e-14
    small = float(pairwise_correlation_bound(0.01, -0.02))
    assert (1 - small) == pytest.approx(0.03**2 / 24, rel=0.02)


def test_the_models_obey_the_boundary() -> None:
    """HASME through a rotated Hessian: no defect just inside, a DomainError before any run just outside; the product form runs there."""
    U = torch.linalg.qr(torch.randn(2, 2, generator=generator(1), dtype=T64))[0]
    H = U @ torch.diag(torch.tensor([9.0, 0.5], dtype=T64)) @ U.T
    bound = pairwise_correlation_bound(0.9, 0.05)
    f = sg.objectives.Quadratic((H + H.T) / 2)
    order = torch.linalg.eigh(f.matrix)[1]  # ascending: the second eigenvalue is 9
    for factor, fine in ((1 - 1e-6, True), (1 + 1e-6, False)):
        S = order @ planar(bound * factor) @ order.T
        noise = sg.noises.Gaussian(f, (S + S.T) / 2)
        sde = sg.sdes.HASME(noise, 0.1)
        assert (float(sde.defect(torch.zeros(1, 2, dtype=T64))) == 0) == fine
        if not fine:
            with pytest.raises(DomainError, match="indefinite"):
                sg.simulate(sg.kernels.Heun(sde, 0.025), [1.0, 1.0], horizon=0.1, paths=2, seed=0)
            sg.simulate(sg.kernels.Heun(sg.sdes.HASMEProduct(noise, 0.1), 0.025), [1.0, 1.0], horizon=0.1, paths=2, seed=0)


SPECTRA: dict[str, Callable[[torch.Generator, int], torch.Tensor]] = {
    "uniform in [0, .9]": lambda g, n: torch.rand(n, 50, generator=g, dtype=T64) * 0.9,
    "uniform in [−.9, .9]": lambda g, n: torch.rand(n, 50, generator=g, dtype=T64) * 1.8 - 0.9,
    "half .9, half −.9": lambda g, n: torch.cat([torch.full((n, 25), 0.9, dtype=T64), torch.full((n, 25), -0.9, dtype=T64)], 1),
}


def share_positive(spectrum: str, rank: int, draws: int = 200) -> float:
    x = SPECTRA[spectrum](generator(rank), draws)
    return float((defect(wishart(50, rank, draws, 7 + rank) * phi_pair(x)) == 0).to(T64).mean())


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("rank", [1, 25, 49])
def test_rank_below_the_dimension_is_never_positive(spectrum: str, rank: int) -> None:
    """d = 50, 200 Wishart draws each: 0 of 200. (A theorem, not a frequency: positive Q needs a kernel of Σ that H maps to itself; see the notes.)"""
    assert share_positive(spectrum, rank) == 0


def test_twice_the_dimension_depends_on_the_spectrum() -> None:
    """Rank 2d, 1,000 draws: all for [0, .9], 99 % for [−.9, .9] (4,000 other draws), none for the two-point spectrum.

    A true share of .99 leaves [.975, 1) in less than one seed in 10,000.
    """
    assert share_positive("uniform in [0, .9]", 100, 1000) == 1
    assert 0.975 <= share_positive("uniform in [−.9, .9]", 100, 1000) < 1
    assert share_positive("half .9, half −.9", 100, 1000) == 0


def test_commuting_noise_is_always_positive() -> None:
    """Σ a function of H, rank 5 of 50 included: no defect."""
    for seed in range(20):
        x = torch.rand(50, generator=generator(seed), dtype=T64) * 1.8 - 0.9
        variances = torch.rand(50, generator=generator(100 + seed), dtype=T64) * (torch.arange(50) < (5 if seed % 2 else 50))
        assert float(defect(torch.diag(variances)[None] * phi_pair(x[None]))) == 0


def hasme_matrix(H: torch.Tensor, S: torch.Tensor, eta: float) -> torch.Tensor:
    return sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.Quadratic(H), S), eta).diffusion(0.0, torch.zeros(1, H.shape[0], dtype=T64))


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_law_of_the_defect(rank: int) -> None:
    """Defect / predicted → 1 with an error linear in η: at η = 1e-3 within 1 %, and ten times farther at 1e-2; each negative eigenvalue follows −η³PHΣHP/12."""
    H = torch.randn(6, 6, generator=generator(rank), dtype=T64)
    H = (H + H.T) / 2
    S = wishart(6, rank, 1, 50 + rank)[0]
    ratios = {eta: float(defect(hasme_matrix(H, S, eta)) / predicted_defect(H, S, eta)) for eta in (1e-2, 1e-3)}
    assert abs(ratios[1e-3] - 1) < 0.01
    assert abs(ratios[1e-2] - 1) == pytest.approx(10 * abs(ratios[1e-3] - 1), rel=0.5)
    vectors = torch.linalg.eigh(S)[1]
    P = vectors[:, : 6 - rank] @ vectors[:, : 6 - rank].T
    wanted = torch.linalg.eigvalsh(-(1e-9) / 12 * P @ H @ S @ H @ P)
    negative = min(rank, 6 - rank)  # the rank of PHΣHP
    found = torch.linalg.eigvalsh(hasme_matrix(H, S, 1e-3)[0])
    assert float(((found[:negative] - wanted[:negative]) / wanted[:negative]).abs().max()) < 0.05
    wrong = float(defect(hasme_matrix(H, S, 1e-3)) / (predicted_defect(H, S, 1e-3) * 12 / 4))  # mutant: the Schur complement without its PQP part
    assert abs(wrong - 1) > 0.5


def test_no_defect_is_predicted_for_full_rank() -> None:
    H, S = wishart(6, 6, 1, 0)[0], wishart(6, 60, 1, 1)[0]
    assert float(predicted_defect(H, S, 0.01)) == 0
    assert float(defect(hasme_matrix(H, S, 0.01))) == 0


@pytest.mark.parametrize(("x", "product", "projected"), [((0.5, 0.01), 1.04e-3, 0.0159), ((0.9, 0.05), 0.0224, 0.228)])
def test_what_projecting_and_the_product_form_cost(x: tuple[float, float], product: float, projected: float) -> None:
    """Relative error of the stationary covariance under rank-one noise: the product form's and ``project``'s, against SGD's exact one (regression numbers)."""
    errors = stationary_errors(torch.tensor(x, dtype=T64), torch.ones(2, 2, dtype=T64))
    assert errors["HASMEProduct"] == pytest.approx(product, rel=0.01)
    assert errors["HASME"] == pytest.approx(projected, rel=0.01)


@pytest.mark.parametrize(("rank", "product", "projected"), [(1, 0.0215, 0.0553), (5, 0.0190, 0.0576), (25, 0.0117, 0.0374)])
def test_the_same_in_fifty_dimensions(rank: int, product: float, projected: float) -> None:
    """x uniform in [.01, .9], top .9, Wishart noise: means over 20 draws against means over 100 others; the product form is nearer.

    Single draws spread by ± 33 %, so that a mean of 20 leaves ± 28 % in about one seed in 10,000; it resolves a change of a third.
    """
    found = {"HASMEProduct": 0.0, "HASME": 0.0}
    for seed in range(20):
        x = torch.rand(50, generator=generator(1000 * rank + seed), dtype=T64) * 0.89 + 0.01
        x[0] = 0.9
        for name, error in stationary_errors(x, wishart(50, rank, 1, 5000 * rank + seed)[0]).items():
            found[name] += error / 20
    assert found["HASMEProduct"] == pytest.approx(product, rel=0.28)
    assert found["HASME"] == pytest.approx(projected, rel=0.28)
    assert found["HASME"] > 1.5 * found["HASMEProduct"]


def test_where_q_is_positive_the_exact_form_wins() -> None:
    x = torch.rand(50, generator=generator(1), dtype=T64) * 0.89 + 0.01
    errors = stationary_errors(x, wishart(50, 200, 1, 3)[0])
    assert errors["HASME"] < 1e-12 < errors["HASMEProduct"]


def stationary_errors(x: torch.Tensor, S: torch.Tensor) -> dict[str, float]:
    noise = sg.noises.Gaussian(sg.objectives.Quadratic(x / 0.1), S)
    wanted = sg.oracles.stationary_covariance(noise, 0.1)
    models = (sg.sdes.HASME(noise, 0.1, psd="project"), sg.sdes.HASMEProduct(noise, 0.1))
    return {type(sde).__name__: float((sg.oracles.stationary_covariance(sde) - wanted).norm() / wanted.norm()) for sde in models}


def test_product_form_is_positive_with_exact_variances() -> None:
    """Every eigendirection's two-point variance over one step is SGD's to 1e-12, for rank-one noise too; the projected form's is not (control)."""
    x = torch.tensor([0.9, 0.4, -0.3, 0.05], dtype=T64)
    noise = sg.noises.Gaussian(sg.objectives.Quadratic(x / 0.1), torch.ones(4, 4))
    wanted = sg.oracles.sgd_moments(noise, 0.1, torch.zeros(4), 3).covariance.diagonal()
    product = sg.oracles.sde_moments(sg.sdes.HASMEProduct(noise, 0.1), torch.zeros(4), 0.3).covariance.diagonal()
    projected = sg.oracles.sde_moments(sg.sdes.HASME(noise, 0.1, psd="project"), torch.zeros(4), 0.3).covariance.diagonal()
    assert float(((product - wanted) / wanted).abs().max()) < 1e-12
    assert float(((projected - wanted) / wanted).abs().max()) > 1e-3


def test_policies_count_what_they_do() -> None:
    """One indefinite matrix of two: stop flags it, project counts it with its defect, raise names it; a NaN matrix stays NaN alone."""
    Q = torch.stack([torch.eye(2, dtype=T64), torch.diag(torch.tensor([1.0, -0.25], dtype=T64))])
    with tallying() as tally:
        stopped = root_of(Q, "stop")
    assert tally.flagged is not None
    assert tally.flagged.tolist() == [False, True]
    assert torch.isnan(stopped).flatten(1).any(1).tolist() == [False, True]
    with tallying() as tally:
        root = root_of(Q, "project")
    assert tally.counts == {"psd indefinite": 1}
    assert tally.worst == {"psd defect": 0.25}
    assert torch.equal(root[1] @ root[1], torch.diag(torch.tensor([1.0, 0.0], dtype=T64)))
    with pytest.raises(DomainError, match=r"= 0\.25"):
        root_of(Q, "raise")
    lost = root_of(torch.stack([Q[0], torch.full_like(Q[0], torch.nan)]), "stop")
    assert torch.isnan(lost).flatten(1).any(1).tolist() == [False, True]


def test_autocorrelations_on_quadratics() -> None:
    """Corr(θ₀, θ_k) = Mᵏ for SGD; SPF, HA-SME and HA-SME-3 share it exactly although SPF's variance is .54 of SGD's at x = ½; SME-1, SME-2, SME-3 miss it."""
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([5.0, 1.0]), 1.0)
    M = torch.tensor([0.5, 0.9], dtype=T64)
    for name in ("SPF", "HASME", "HASMEProduct", "HASME3", "SME1", "SME2", "SME3"):
        affine = getattr(sg.sdes, name)(noise, 0.1).affine()
        worst = max(float((torch.exp(affine[0].diagonal() * 0.1 * k) - M**k).abs().max()) for k in (1, 2, 5, 20))
        assert (worst < 1e-12) == (name in ("SPF", "HASME", "HASMEProduct", "HASME3"))
    ratio = sg.oracles.stationary_covariance(sg.sdes.SPF(noise, 0.1))[0, 0] / sg.oracles.stationary_covariance(noise, 0.1)[0, 0]
    assert float(ratio) == pytest.approx(0.541, abs=5e-4)


def along_sgd(objective: sg.Objective, eta: float, batch_size: int, steps: int) -> tuple[torch.Tensor, sg.sdes.HASME, sg.Noise]:
    """Four points of one SGD path, the model that is asked about them, and the noise."""
    noise = sg.noises.Minibatch(objective, batch_size)
    start = 0.3 * torch.randn(objective.dim, generator=generator(0), dtype=T64)
    saves = [k * steps // 3 * eta for k in range(4)]
    states = sg.simulate(sg.kernels.SGD(noise, eta), start, horizon=steps * eta, save=saves, paths=1, seed=0).states
    return states[:, 0], sg.sdes.HASME(noise, eta), noise


def test_minibatch_noise_of_few_samples_has_no_positive_q() -> None:
    """A network on digits with n = 40 samples and 56 parameters: Q indefinite at every one of four points of an SGD path, least so where training has ended.

    With n = 700 it is indefinite at the start only. (No threshold: the sign is exact to rounding; the parameters that logits share by symmetry are in
    the kernel of both H and Σ and do no harm.)
    """
    for count, always in ((40, True), (700, False)):
        data = sg.data.digits(components=5, classes=[0, 1, 2, 3], count=count)
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4)).double()
        objective = sg.objectives.Network(net, "cross_entropy", data.x, data.y)
        points, sde, _ = along_sgd(objective, 0.5, 8, 150)
        defects = sde.defect(points)
        assert float(defects[0]) > 1e-5
        assert bool((defects[1:] > 0).all()) == always
        assert float(defects[-1]) < float(defects[0]) / 10


def test_a_shared_kernel_costs_nothing() -> None:
    """Softmax regression: Σ has rank 45 of 50, yet Q is positive, since H maps ker Σ (common shifts of all logits) to itself (PHΣ = 0)."""
    data = sg.data.digits(components=5, count=300)
    objective = sg.objectives.LogisticRegression(data.x, data.y, ridge=1e-3)
    points, sde, noise = along_sgd(objective, 0.5, 8, 60)
    values = torch.linalg.eigvalsh(noise.covariance(points))
    assert ((values > 1e-10 * values[:, -1:]).sum(1) == 45).all()
    assert float(sde.defect(points).max()) == 0
    assert float(predicted_defect(sg.calculus.hessian(objective, points), noise.covariance(points), 0.5).max()) < 1e-15
