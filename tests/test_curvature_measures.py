"""Measures on curvature: outlier rules, angles, alignment, slopes, matricised spectra, lines, rescaling, each against a case known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import curvature
from sgdsde.curvature import kronecker
from sgdsde.curvature.outliers import marchenko_pastur_median
from sgdsde.types import InputError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotation(dim: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(torch.randn(dim, dim, generator=generator(seed), dtype=torch.float64))[0]


def relu_net(activation: type[nn.Module] = nn.ReLU) -> tuple[sg.objectives.Network, Tensor, Tensor]:
    g = generator(4)
    x = torch.randn(30, 4, generator=g, dtype=torch.float64)
    module = nn.Sequential(nn.Linear(4, 7), activation(), nn.Linear(7, 5), activation(), nn.Linear(5, 3)).double()
    network = sg.objectives.Network(module, "cross_entropy", x, torch.arange(30) % 3)
    theta, start = network.initial(2, g)
    return network, theta, start


# outlier rules


def test_rules_on_a_spectrum_whose_cuts_are_known() -> None:
    """10, 8, 2, then a bulk .5, .4, …: the largest gap is 8 − 2, more than a fifth of the largest have two, and two ratios tie at 4."""
    values = [0.1, 10.0, 0.4, 8.0, 0.3, 2.0, 0.5, 0.2]
    ratio, gap = curvature.RatioRule().split(values), curvature.GapRule().split(torch.tensor(values, dtype=torch.float64))
    share = curvature.ThresholdRule(0.2).split(np.array(values))
    assert (ratio.count, gap.count, share.count) == (2, 2, 2)
    # a tie, 8/2 = 2/.5: the first wins, and the strength says how fragile it is
    assert ratio.strength == pytest.approx(1)
    assert gap.strength == pytest.approx(6 / 2)
    assert gap.cut == pytest.approx(5)
    assert list(gap.outliers) == [10, 8]
    assert list(gap.bulk) == [2, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert share.strength == pytest.approx(4)
    clear = curvature.RatioRule().split([10, 8, 2.5, 0.5, 0.4])
    assert (clear.count, clear.strength) == (3, pytest.approx(5 / 3.2))
    assert "ratio" in clear.rule


def test_ratio_rule_is_not_fooled_by_exact_zeros_unless_the_rank_is_the_clearest_cut() -> None:
    spectrum = [9.0, 7.0, 5.0, 4.0] + [3e-3] * 10 + [0.0] * 20
    assert curvature.RatioRule(floor=1e-4).split(spectrum).count == 4  # 4/.003 = 1333 beats .003/.0009 = 3.3
    assert curvature.RatioRule(floor=1e-9).split(spectrum).count == 14  # .003/9e-9 = 3e5 beats it: the rank
    assert curvature.RatioRule(most=3).split(spectrum).count <= 3


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_marchenko_pastur_median_against_a_large_sample(ratio: float) -> None:
    """Median eigenvalue of one 1200-dimensional sample covariance; it fluctuates by about 1/dim, allowed are .01."""
    dim = 1200
    n = round(dim / ratio)
    X = np.random.default_rng(0).standard_normal((n, dim))
    values = np.linalg.svd(X, compute_uv=False) ** 2 / n  # the min(n, dim) that can differ from zero
    assert np.median(values) == pytest.approx(marchenko_pastur_median(ratio), rel=0.01)


@pytest.mark.parametrize("dim", [60, 300])
def test_marchenko_pastur_rule_finds_spikes_and_nothing_in_noise(dim: int) -> None:
    """Pure noise: at most one eigenvalue above the edge (fluctuations ~n^(−2/3)); three spikes far above it: these three, with σ² fitted or given."""
    n, sigma = 150, 0.7
    X = sigma * np.random.default_rng(1).standard_normal((n, dim))
    rule = curvature.MarchenkoPasturRule(n, dim)
    assert rule.split(np.linalg.eigvalsh(X.T @ X / n)).count <= 1
    X[:, :3] += 6 * np.random.default_rng(2).standard_normal((n, 3))
    values = np.linalg.eigvalsh(X.T @ X / n)
    for each in (rule, curvature.MarchenkoPasturRule(n, dim, variance=sigma**2)):
        assert each.split(values).count == 3
    wrong = curvature.MarchenkoPasturRule(dim, n, variance=sigma**2).edge(values)  # the aspect ratio upside down
    assert abs(wrong / curvature.MarchenkoPasturRule(n, dim, variance=sigma**2).edge(values) - 1) > 0.2


def test_rules_refuse_in_words() -> None:
    with pytest.raises(InputError, match="two finite ones"):
        curvature.GapRule().split([1.0])
    with pytest.raises(InputError, match="no positive outlier"):
        curvature.GapRule().split([-1.0, -2.0])
    with pytest.raises(InputError, match="between 0 and 1"):
        curvature.ThresholdRule(2.0)
    with pytest.raises(InputError, match="needs all 50"):
        curvature.MarchenkoPasturRule(50, 100).split([3.0, 2.0, 1.0])


# subspaces


def test_principal_angles_of_planes_turned_by_known_angles() -> None:
    eye = torch.eye(6, dtype=torch.float64)
    for angle in (1e-9, 0.3, math.pi / 2):
        turned = torch.stack([math.cos(angle) * eye[0] + math.sin(angle) * eye[2], eye[1]], 1)
        found = curvature.principal_angles(eye[:, :2] @ torch.tensor([[2.0, 1.0], [0.5, 3.0]]).double(), turned)
        assert torch.allclose(found, torch.tensor([0.0, angle], dtype=torch.float64), atol=1e-14, rtol=1e-6)
        assert curvature.overlap(eye[:, :2], turned).value == pytest.approx((1 + math.cos(angle) ** 2) / 2)
    assert curvature.principal_angles(eye[:, :3], turned).shape == (2,)


def test_random_overlap_is_the_larger_dimension_over_the_whole() -> None:
    """False alarm 1e-6; resolves .004 of .1."""
    found = curvature.random_overlap(60, 3, 6, draws=400, seed=1)
    assert abs(found.value - 6 / 60) < 4.9 * found.stderr < 0.02
    assert curvature.overlap(torch.eye(60)[:, :3], torch.eye(60)[:, :6]).chance == pytest.approx(6 / 60)


# noise and curvature


def test_alignment_of_matrices_known_by_hand_and_by_both_routes() -> None:
    """Σ = 3H: cosine 1, factor 3, commutator 0. Two reflections HΣ = −ΣH: commutator 1. A rank-one pair: cosine cos²."""
    Q = rotation(8)
    H = (Q * torch.linspace(0.1, 4, 8).double()) @ Q.T
    same = curvature.noise_alignment(curvature.Matrix(H), curvature.Matrix(3 * H))
    assert same.cosine.value == pytest.approx(1)
    assert same.factor.value == pytest.approx(3)
    assert same.unexplained == pytest.approx(0, abs=1e-7)
    assert same.commutator.value == pytest.approx(0, abs=1e-12)
    assert same.product.value == pytest.approx(3 * float((H * H).sum()))
    z, x = (curvature.Matrix(torch.tensor(part, dtype=torch.float64)) for part in ([[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]]))
    assert curvature.noise_alignment(z, x).commutator.value == pytest.approx(1)
    u, v = torch.eye(8, dtype=torch.float64)[0], torch.zeros(8, dtype=torch.float64)
    v[0], v[1] = math.cos(0.4), math.sin(0.4)
    pair = curvature.noise_alignment(curvature.Matrix(torch.outer(u, u)), curvature.Matrix(torch.outer(v, v)))
    assert pair.cosine.value == pytest.approx(math.cos(0.4) ** 2)
    assert pair.commutator.value == pytest.approx(math.sin(0.4) / math.sqrt(2))  # ‖[u,v]‖² = 2cos²sin², ‖HΣ‖ = cos


def test_alignment_by_random_vectors_covers_the_exact_one() -> None:
    """400 vectors in 60 dimensions; each of four numbers within 4.9 standard errors (1e-6 each), the errors below 10 %."""
    A, B = (torch.randn(60, 12, generator=generator(seed), dtype=torch.float64) for seed in (1, 2))
    H, S = curvature.Matrix(A @ A.T), curvature.Matrix(B @ B.T + A @ A.T)
    exact, drawn = curvature.noise_alignment(H, S), curvature.noise_alignment(H, S, vectors=400, dense_below=0)
    for name in ("product", "cosine", "factor", "commutator"):
        one, other = getattr(exact, name), getattr(drawn, name)
        assert abs(one.value - other.value) < 4.9 * other.stderr < 0.5 * abs(one.value)
    mutant = float(exact.product.value) / math.sqrt(float((H.matrix**2).sum()) * float(S.matrix.trace() ** 2))  # tr² for ‖·‖²
    assert abs(mutant - drawn.cosine.value) > 4.9 * drawn.cosine.stderr
    with pytest.raises(InputError, match="zero at this point"):
        curvature.noise_alignment(H, curvature.Matrix(torch.zeros(60, 60).double()))


def test_slope_recovers_a_power_law_and_counts_what_it_drops() -> None:
    """log-normal scatter of .3 on 500 coordinates: |γ − 1.4| < 4.9 standard errors (1e-6), which are below .03; the reversed regression fails."""
    G = torch.exp(2 * torch.randn(500, generator=generator(3), dtype=torch.float64))
    noise = 0.2 * G**1.4 * torch.exp(0.3 * torch.randn(500, generator=generator(4), dtype=torch.float64))
    noise[:5] = 0
    found = curvature.diagonal_slope(noise, G)
    assert (found.used, found.dropped) == (495, 5)
    assert abs(found.exponent.value - 1.4) < 4.9 * found.exponent.stderr < 0.15
    assert abs(curvature.diagonal_slope(G, noise).exponent.value - 1.4) > 0.3
    with pytest.raises(InputError, match="needs three"):
        curvature.diagonal_slope(noise[:6], G[:6])


def test_matricised_spectra() -> None:
    a, b = torch.randn(4, generator=generator(), dtype=torch.float64), torch.randn(6, generator=generator(1), dtype=torch.float64)
    one = torch.outer(a, b).flatten()
    two = torch.zeros(4, 6, dtype=torch.float64)
    two[0, 0], two[1, 1] = 2.0, 1.0
    vectors = torch.stack([one, two.flatten()], 1)
    assert torch.allclose(curvature.rank_one_shares(vectors, 4), torch.tensor([1.0, 0.8], dtype=torch.float64))
    spectra = curvature.matricised_spectra(vectors, 4)
    assert torch.allclose(spectra[1], torch.tensor([2.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    assert torch.allclose((spectra**2).sum(1), (vectors**2).sum(0))
    assert curvature.rank_one_shares(one, 6)[0] < 0.99  # rows and columns exchanged: no longer an outer product
    with pytest.raises(InputError, match="no 5 rows"):
        curvature.matricised_rank(one, 5)


# decoupling


def test_van_loan_product_is_the_best_one() -> None:
    network, theta, _ = relu_net()
    report = curvature.kronecker_decoupling(network, theta, "2")
    norm = report.block.norm()
    best, plain = report.best.dense(), report.product.dense()
    assert float((report.block - best).norm() / norm) == pytest.approx(report.best_error)
    assert float((report.block - plain).norm() / norm) == pytest.approx(report.error)
    assert torch.allclose(plain, torch.kron(report.left, report.right))
    assert float(torch.linalg.eigvalsh(report.best_left)[0]) > -1e-12  # positive semi-definite factors, as Van Loan and Pitsianis prove
    assert float(torch.linalg.eigvalsh(report.best_right)[0]) > -1e-12
    for seed in range(3):  # no product near it is better
        left = report.best_left + 0.01 * report.best_left.norm() * rotation(report.left.shape[0], seed)
        assert float((report.block - torch.kron(left, report.best_right)).norm() / norm) > report.best_error


def test_decoupling_of_layers_too_large_for_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same report without the rearranged matrix (products only) and with it; the error is a covariance: zero where M and x do not vary together."""
    network, theta, _ = relu_net()
    for layer in ("0", "2", "4"):
        whole = curvature.kronecker_decoupling(network, theta, layer)
        with monkeypatch.context() as patched:
            patched.setattr(kronecker, "_SMALL", 0)
            patched.setattr(kronecker, "_PIECE", 50)
            cut = curvature.kronecker_decoupling(network, theta, layer)
            assert torch.allclose(cut.block, whole.block, atol=1e-14)
        assert cut.error == pytest.approx(whole.error, rel=1e-10)
        assert cut.best_error == pytest.approx(whole.best_error, rel=1e-6)
        assert torch.allclose(cut.best.dense(), whole.best.dense(), atol=1e-6 * float(whole.block.norm()))


# lines


def test_line_over_a_double_well_has_its_barrier() -> None:
    """(x² − 1)²/4 from −1 to 1: barrier = bump = 1/4 at α = ½; along a quadratic bowl there is none."""
    well = sg.objectives.DoubleWell()
    line = curvature.line_losses(well, [-1.0], [1.0], points=21)
    height = float(well.loss(torch.zeros(1, 1, dtype=torch.float64)) - well.loss(torch.ones(1, 1, dtype=torch.float64)))
    assert line.barrier == pytest.approx(height)
    assert line.bump == pytest.approx(height)
    assert line.distance == pytest.approx(2)
    bowl = curvature.line_losses(sg.objectives.Quadratic([1.0, 2.0]), [1.0, 0.0], [-1.0, 1.0], beyond=0.5, points=11)
    assert (bowl.barrier, bowl.bump) == (0, 0)
    assert (bowl.alphas[0], bowl.alphas[-1], len(bowl.alphas)) == (pytest.approx(-0.5), pytest.approx(1.5), 21)


def test_line_over_a_network_is_its_loss_in_any_pieces() -> None:
    network, theta, start = relu_net()
    whole, pieces = (curvature.line_losses(network, start, theta, points=7, samples=samples) for samples in (4096, 8))
    by_hand = [float(network.loss(((1 - t) * start + t * theta)[None])) for t in whole.alphas]
    assert np.allclose(whole.losses, by_hand)
    assert np.allclose(whole.losses, pieces.losses)
    with pytest.raises(InputError, match="at least 3 points"):
        curvature.line_losses(network, start, theta, points=2)


# rescaling (D8)


def test_d8_rescaling_moves_sharpness_and_leaves_the_weighted_distance() -> None:
    """D8: two consecutive ReLU layers scaled by α and 1/α, θ₀ too: λmax and |θ−θ₀|² change, ΣHⱼⱼ(θⱼ−θ₀ⱼ)² is constant to 1e-5; without θ₀ it is not."""
    network, theta, start = relu_net()
    rows = curvature.rescaling_test(network, theta, start, first="0", second="2")
    one, three, ten = rows
    assert [row.alpha for row in rows] == [1, 3, 10]
    assert max(abs(row.weighted / one.weighted - 1) for row in rows) < 1e-9
    assert max(abs(row.loss - one.loss) for row in rows) < 1e-12
    assert ten.largest > 4 * one.largest
    assert ten.distance > 4 * one.distance
    D = curvature.layer_scaling(network, "0", "2", 3.0)
    H = curvature.hessian_operator(network, theta).dense()
    assert three.largest == pytest.approx(float(torch.linalg.eigvalsh(H / D[:, None] / D[None, :])[-1]))
    kept = curvature.exact_diagonal(curvature.hessian_operator(network, three.theta))
    assert abs(float((kept * (three.theta - start) ** 2).sum()) / one.weighted - 1) > 0.1  # mutant: θ₀ left where it was


def test_rescaling_refuses_smooth_activations_and_unknown_layers() -> None:
    network, theta, start = relu_net(nn.Tanh)
    with pytest.raises(InputError, match="positively homogeneous"):
        curvature.rescaling_test(network, theta, start, first="0", second="2", alphas=(3.0,))
    with pytest.raises(InputError, match="no layer with trainable weights"):
        curvature.layer_scaling(network, "0", "1", 2.0)
    with pytest.raises(InputError, match="positive factor"):
        curvature.layer_scaling(network, "0", "2", -2.0)


# traces


def test_hutch_plus_plus_is_unbiased_and_sharper_on_decaying_spectra() -> None:
    """300 dimensions, λᵢ = i⁻²: at 60 products its error bar is below a fifth of Hutchinson's, and it covers tr A (1e-6); full range: exact."""
    Q = rotation(300)
    spectrum = torch.arange(1, 301).double() ** -2
    operator = curvature.Matrix((Q * spectrum) @ Q.T)
    sharp, plain = curvature.hutch_plus_plus(operator, products=60), curvature.trace(operator, vectors=60)
    for found in (sharp, plain):
        assert abs(found.value - float(spectrum.sum())) < 4.9 * found.stderr
    assert sharp.stderr < 0.2 * plain.stderr
    assert curvature.hutch_plus_plus(operator, products=900).value == pytest.approx(float(spectrum.sum()))
    indefinite = curvature.Matrix((Q * torch.linspace(-1, 1.3, 300).double()) @ Q.T)
    found = curvature.hutch_plus_plus(indefinite, products=90, seed=2)
    assert abs(found.value - 0.15 * 300) < 4.9 * found.stderr
    with pytest.raises(InputError, match="at least 6"):
        curvature.hutch_plus_plus(operator, products=5)


def test_diagonals_exact_estimated_and_weighted() -> None:
    """600 vectors, 50 entries, family-wise 1e-5; a mutant that forgets the second sign is far off."""
    A = torch.randn(50, 50, generator=generator(5), dtype=torch.float64)
    operator = curvature.Matrix(A + A.T)
    operator.chunk = 7
    exact = curvature.exact_diagonal(operator)
    assert torch.allclose(exact, 2 * A.diagonal())
    found = curvature.diagonal(operator, vectors=600, seed=1)
    assert (np.abs(found.value - exact.numpy()) < 5.3 * found.stderr).all()
    weights = torch.rand(50, generator=generator(6), dtype=torch.float64)
    total = curvature.weighted_diagonal(operator, weights, vectors=600)
    assert abs(total.value - float((exact * weights).sum())) < 4.9 * total.stderr
    mutant = (operator @ curvature.traces.signs(50, 600, 1)).mean(1).numpy()
    assert (np.abs(mutant - exact.numpy()) > 5.3 * found.stderr).any()
    with pytest.raises(InputError, match="none negative"):
        curvature.weighted_diagonal(operator, -weights)
