"""Eigenpairs and densities from products alone: both ends, multiplicities, warm starts, no ghosts, and mutants that have them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import curvature
from sgdsde.curvature import density, recurrence, thick_restart
from sgdsde.types import InputError, OracleRefusal, SgdsdeWarning


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Spectrum(curvature.Operator):
    """Known eigenvalues in a random orthogonal basis that is never formed: reflections around it; counts its products."""

    def __init__(self, values: Tensor, dtype: torch.dtype = torch.float64) -> None:
        self.values, self.dim, self.dtype, self.device = values.to(dtype), len(values), dtype, torch.device("cpu")
        self.mirrors = torch.nn.functional.normalize(torch.randn(3, self.dim, generator=generator(1), dtype=torch.float64), dim=1).to(dtype)
        self.label, self.count = "known spectrum", 0

    def turn(self, block: Tensor, mirrors: Tensor) -> Tensor:
        for u in mirrors:
            block = block - 2 * u[:, None] * (u @ block)
        return block

    def apply(self, block: Tensor) -> Tensor:
        self.count += block.shape[1]
        return self.turn(self.values[:, None] * self.turn(block, self.mirrors), self.mirrors.flip(0))


OUTLIERS = torch.cat([torch.tensor([30.0, 22, 17, 13, 9, 7, -12, -8, -5]), torch.linspace(-1, 1, 3991)]).double()


def exact(values: Tensor, k: int, which: str) -> Tensor:
    up = values.sort().values
    if which == "magnitude":
        return values[values.abs().argsort(descending=True)[:k]].sort(descending=True).values
    chosen = {"largest": up[-k:], "smallest": up[:k], "both": torch.cat([up[: k // 2], up[len(up) - (k - k // 2) :]])}[which]
    return chosen.flip(0)


@pytest.mark.parametrize(("which", "k"), [("largest", 6), ("smallest", 3), ("both", 5), ("magnitude", 8)])
def test_both_ends_against_the_truth_and_arpack(which: str, k: int) -> None:
    """Errors below the measured residuals and below 1e-8; no more products than scipy's ARPACK takes with an equal basis, a search apart."""
    operator = Spectrum(OUTLIERS)
    found = curvature.eigsh(operator, k, which=which)
    assert found.method == "thick-restart Lanczos"
    assert found.converged
    assert found.products == operator.count
    error = (found.values - exact(OUTLIERS, k, which)).abs()
    assert float(error.max()) < 1e-8
    assert bool((error <= found.residuals + 1e-12).all())
    assert float(found.residuals.max()) <= 1.01e-8 * 30
    measured = torch.linalg.vector_norm(operator @ found.vectors - found.vectors * found.values, dim=0)
    assert bool((measured <= found.residuals + 1e-12).all())  # the known residuals bound the measured ones
    other = Spectrum(OUTLIERS)
    ends = {"largest": "LA", "smallest": "SA", "both": "BE", "magnitude": "LM"}
    scipy.sparse.linalg.eigsh(other.to_scipy(), k=k, which=ends[which], tol=1e-8, ncv=2 * k + 30, v0=np.random.default_rng(0).standard_normal(4000))
    assert found.products <= other.count + thick_restart.SEARCH + k


@pytest.mark.parametrize("basis", [20, 40])
def test_restarts_and_multiple_eigenvalues(basis: int) -> None:
    """Three eigenvalues, twice and three times: one start vector sees each once, the search after convergence finds the others. Many restarts."""
    values = torch.cat([torch.tensor([9.0, 9.0, 5.0, 5.0, 5.0, 4.0]), torch.linspace(-1, 1, 3994)]).double()
    found = curvature.eigsh(Spectrum(values), 6, basis=basis)
    assert torch.allclose(found.values, exact(values, 6, "largest"), atol=1e-8)
    assert found.orthogonality < 1e-10


def test_a_start_that_sees_too_little() -> None:
    """A start that is an eigenvector, but not the first: its own Krylov space ends at once, the search finds the first."""
    values = torch.cat([torch.tensor([9.0, 5.0]), torch.linspace(-1, 1, 3998)]).double()
    operator = Spectrum(values)
    second = operator.turn(torch.eye(4000, 2, dtype=torch.float64), operator.mirrors.flip(0))[:, 1]
    assert curvature.eigsh(operator, 1, start=second).values[0] == pytest.approx(9)
    state = thick_restart.Krylov(torch.zeros(3, 4000).double(), torch.zeros(0, 0).double(), second, torch.zeros(0).double())
    once = thick_restart.extended(operator, state, generator(), 1e-8)
    assert float(once.T) == pytest.approx(5)
    assert float(once.b.abs().max()) == 0  # nothing leads away from it


def test_ghosts_need_lost_orthogonality_and_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that projects on the last two vectors only, as plain Lanczos: 1000 shows twice, and the result is refused, not returned."""
    values = torch.cat([torch.tensor([1000.0, 10.0]), torch.linspace(0, 1, 3998)]).double()
    healthy = curvature.eigsh(Spectrum(values), 4, tolerance=1e-4, basis=60)
    assert int((healthy.values > 500).sum()) == 1

    def forgetful(w: Tensor, Q: Tensor) -> tuple[Tensor, Tensor]:
        c = Q @ w
        c[:-2] = 0
        return w - c @ Q, c

    monkeypatch.setattr(thick_restart, "orthogonalised", forgetful)
    monkeypatch.setattr(thick_restart, "upright", lambda columns: columns)  # nor repaired at restarts
    with pytest.raises((OracleRefusal, SgdsdeWarning)) as caught:
        curvature.eigsh(Spectrum(values), 4, tolerance=1e-4, basis=60, most=400)
    assert caught.type is OracleRefusal
    assert "ghost" in str(caught.value)


def test_an_operator_that_is_not_symmetric_is_refused() -> None:
    A = torch.randn(80, 80, generator=generator(3), dtype=torch.float64)
    with pytest.raises(InputError, match="matrix is not symmetric"):
        curvature.Matrix(A)
    crooked = curvature.Matrix(torch.eye(80, dtype=torch.float64))
    crooked.matrix = A  # an operator of one's own, wrongly made
    with pytest.raises(OracleRefusal, match="not symmetric"):
        curvature.eigsh(crooked, 3, dense_below=0)


def test_density_ghosts_and_their_mutant(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 steps on one outlier of 1000: one Ritz value there; the mutant without reorthogonalisation shows several."""
    values = torch.cat([torch.tensor([1000.0]), torch.linspace(0, 1, 499)]).double()

    def copies() -> int:
        found = curvature.spectral_density(Spectrum(values), steps=80, vectors=2)
        return max(int((row > 500).sum()) for row in found.nodes)

    assert copies() == 1
    monkeypatch.setattr(recurrence, "without_basis", lambda w, basis: w - ((w[:, None] @ basis[:, -2:].transpose(1, 2)) @ basis[:, -2:])[:, 0])
    assert copies() > 1


def test_warm_start_from_a_nearby_operator_saves_products() -> None:
    """Eigenvectors of H at θ start the search at θ + δ: fewer products, equal eigenvalues. A stale start in a wrong space is no harm."""
    x = torch.randn(200, 20, generator=generator(), dtype=torch.float64)
    module = nn.Sequential(nn.Linear(20, 12), nn.Tanh(), nn.Linear(12, 4)).double()
    network = sg.objectives.Network(module, "cross_entropy", x, torch.arange(200) % 4)
    theta = network.initial(1, generator(1))[0]
    near = theta + 1e-4 * torch.randn(theta.shape, generator=generator(2), dtype=torch.float64)
    first = curvature.eigsh(curvature.hessian_operator(network, theta), 5, dense_below=0)
    H = curvature.hessian_operator(network, near)
    cold, warm = (curvature.eigsh(H, 5, dense_below=0, start=start) for start in (None, first.vectors))
    truth = curvature.eigsh(H, 5)
    assert truth.method == "dense"
    for found in (cold, warm):
        assert torch.allclose(found.values, truth.values, atol=1e-9)
    assert warm.products < cold.products
    orthogonal = torch.linalg.qr(torch.cat([truth.vectors, torch.randn(network.dim, 5, generator=generator(3), dtype=torch.float64)], 1))[0][:, 5:]
    assert torch.allclose(curvature.eigsh(H, 5, dense_below=0, start=orthogonal).values, truth.values, atol=1e-9)
    assert torch.allclose(curvature.eigsh(H, 5, dense_below=0, start=truth.vectors).values, truth.values, atol=1e-9)


def test_whole_space_and_zero_operators() -> None:
    """k = dim; the zero operator; a projection: Krylov spaces that end at once."""
    zero = curvature.Matrix(torch.zeros(30, 30, dtype=torch.float64))
    assert torch.equal(curvature.eigsh(zero, 3, dense_below=0).values, torch.zeros(3, dtype=torch.float64))
    A = torch.diag(torch.tensor([1.0] * 3 + [0.0] * 27)).double()
    found = curvature.eigsh(curvature.Matrix(A), 5, dense_below=0)
    assert torch.allclose(found.values, torch.tensor([1.0, 1, 1, 0, 0], dtype=torch.float64), atol=1e-12)
    assert curvature.eigsh(curvature.Matrix(A), 30).values.sum() == pytest.approx(3)
    flat = curvature.spectral_density(curvature.Matrix(A), steps=20, vectors=400)
    assert flat.share(0.5, 1.5).value == pytest.approx(0.1, abs=4.9 * flat.share(0.5, 1.5).stderr)
    assert np.allclose(flat.weights.sum(1), 1)


def test_single_precision_has_its_own_tolerance() -> None:
    found = curvature.eigsh(Spectrum(OUTLIERS, torch.float32), 5)
    assert found.values.dtype == torch.float32
    assert torch.allclose(found.values.double(), exact(OUTLIERS, 5, "largest"), rtol=1e-4)
    with pytest.raises(InputError, match="ten roundings"):
        curvature.eigsh(Spectrum(OUTLIERS, torch.float32), 5, tolerance=1e-9)


def test_refusals_in_words() -> None:
    operator = Spectrum(OUTLIERS)
    with pytest.raises(InputError, match="integer in 1…4000"):
        curvature.eigsh(operator, 4001)
    with pytest.raises(InputError, match=r"wanted \[4000\] or \[4000, b\]"):
        curvature.eigsh(operator, 3, start=torch.ones(7))
    with pytest.raises(InputError, match="sums to zero"):
        curvature.eigsh(operator, 3, start=torch.zeros(4000, dtype=torch.float64))
    with pytest.raises(InputError, match=r"at least k \+ 3"):
        curvature.eigsh(operator, 10, basis=11)
    with pytest.warns(SgdsdeWarning, match="did not bring all 6 residuals"):
        assert not curvature.eigsh(operator, 6, most=8).converged
    with pytest.raises(InputError, match="positive standard deviation"):
        curvature.spectral_density(operator, steps=2, vectors=2).smoothed(np.zeros(1), 0.0)


def test_density_does_not_depend_on_how_vectors_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = curvature.spectral_density(Spectrum(OUTLIERS), steps=12, vectors=3)
    monkeypatch.setattr(density, "BASIS_BYTES", 1)
    single = curvature.spectral_density(Spectrum(OUTLIERS), steps=12, vectors=3)
    assert np.allclose(whole.nodes, single.nodes)
    assert np.allclose(whole.weights, single.weights)
    grid = np.linspace(-2, 2, 201)
    curve = whole.smoothed(grid, 0.3)
    assert float(np.trapezoid(curve.value, grid)) == pytest.approx(1 - 9 / 4000, abs=0.02)
    assert curve.stderr.shape == grid.shape
