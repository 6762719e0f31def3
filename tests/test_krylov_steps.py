"""When Lanczos has made enough steps: the bound holds, the tolerance is kept, products are saved, and no path's numbers hang on its company."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.objective import Facts
from sgdsde.sdes import krylov
from sgdsde.sdes.functions import ell
from sgdsde.sdes.krylov import _root_phi, lanczos
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.types import InputError

T64 = torch.float64
DIM, ETA = 60, 0.1


class Counted(sg.Objective):
    """H = diag(x)/η at every point; counts the products with vectors."""

    def __init__(self, x: Tensor) -> None:
        self.dim, self.diagonal, self.products = x.numel(), x / ETA, 0
        self.facts = Facts(hvp_at=self._at)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (theta * theta * self.diagonal.to(theta)).sum(1, keepdim=True) / 2

    def _at(self, theta: Tensor):  # type: ignore[no-untyped-def]
        def product(v: Tensor) -> Tensor:
            self.products += v.shape[1] if v.ndim == 3 else 1
            return v * self.diagonal.to(v)

        return product


def spectrum(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, DIM, dtype=T64)


def vectors(count: int, seed: int = 0) -> Tensor:
    return torch.randn(2, count, DIM, dtype=T64, generator=torch.Generator().manual_seed(seed))


def errors(x: Tensor, tolerance: float, steps: int = 40, dtype: torch.dtype = T64) -> tuple[float, int]:
    """The larger error of the two functions per unit of the vector, and the products that a vector took."""
    f, (g, v) = Counted(x), vectors(3).to(dtype)
    flow, spread = sg.sdes.Krylov(steps, tolerance).bind(f, ETA, RealLogarithm("stop")).both(torch.zeros(3, DIM, dtype=dtype), g, v)
    parts = [((a.double() - h(x) * b.double()).norm(dim=1) / b.double().norm(dim=1)).max() for a, h, b in ((flow, ell, g), (spread, _root_phi, v))]
    return float(max(parts)), f.products // 2


RANGES = [(0.0, 0.1), (0.0, 0.4), (-0.4, 0.4), (-0.6, 0.1), (0.0, 0.8)]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_the_tolerance_is_kept_with_fewer_products(low: float, high: float, tolerance: float) -> None:
    error, products = errors(spectrum(low, high), tolerance)
    assert error <= tolerance
    if high <= 0.4:  # beyond, the discs may reach 1
        assert error > 1e-5 * tolerance  # not far more than was asked for
        assert products <= {1e-2: 5, 1e-4: 10, 1e-8: 20}[tolerance]


def test_float32_ends_at_its_rounding() -> None:
    error, products = errors(spectrum(0.0, 0.4), 1e-12, dtype=torch.float32)
    assert error < 2e-6
    assert products < 15


def test_without_a_tolerance_all_steps_are_made() -> None:
    assert errors(spectrum(0.0, 0.1), 0.0, steps=17)[1] == 17


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_the_bound_holds_after_every_step_and_is_not_vain(low: float, high: float) -> None:
    """With the spectrum's own end in the place of Gershgorin's the bound is a theorem: no step's error passes it, and it is within 1e4 of the error."""
    x = spectrum(low, high)
    v = vectors(1)[0]
    for m in range(1, 12):
        run = lanczos(lambda w: w * x / ETA, v, m + 1)
        betas = ETA * run.tridiagonal[0].diagonal(1)  # β₁ … β_m
        r = max(0.0, high)
        bound = float(betas.prod()) / ((m + 1) * (1 - r) ** (m + 1))
        values, U = torch.linalg.eigh(ETA * run.tridiagonal[0, :m, :m])
        largest = 0.0
        for h in (ell, _root_phi):
            found = run.norm[0] * (U * h(values) @ U[0]) @ run.basis[0, :m]
            largest = max(largest, float((found - h(x) * v[0]).norm() / v[0].norm()))
        assert largest <= bound + 1e-14
        assert largest >= 1e-4 * bound or high > 0.5 or largest < 1e-12


MUTANTS = {
    "one beta too many": lambda bound, m, end: bound * 0.05,
    "no gap to the singularity": lambda bound, m, end: bound * (1 - end) ** (m + 1),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_wrong_bounds_break_the_tolerance(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = krylov._Reached.after

    def wrong(self: krylov._Reached, m: int, alpha: Tensor, beta: Tensor) -> Tensor:
        return MUTANTS[mutant](real(self, m, alpha, beta), m, self._end)

    monkeypatch.setattr(krylov._Reached, "after", wrong)
    assert any(errors(spectrum(*ends), tolerance)[0] > tolerance for ends in RANGES for tolerance in (1e-2, 1e-4, 1e-8))


def test_a_path_does_not_hang_on_its_company() -> None:
    """A vector that is done early stops by itself; the one beside it goes on."""
    x = spectrum(0.0, 0.6)
    easy, hard = torch.eye(DIM, dtype=T64)[3:4] + 0.3 * torch.eye(DIM, dtype=T64)[4:5], vectors(1)[0]
    model = sg.sdes.Krylov(30, 1e-6).bind(Counted(x), ETA, RealLogarithm("stop"))
    alone = model.flow(torch.zeros(1, DIM, dtype=T64), easy)
    together = model.flow(torch.zeros(2, DIM, dtype=T64), torch.cat([easy, hard]))[:1]
    assert float((alone - together).abs().max()) < 1e-15
    assert float((alone - ell(x) * easy).abs().max()) < 1e-6


def test_numbers_are_the_same_where_none_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    f, (g, v) = Counted(spectrum(0.0, 0.4)), vectors(2)
    model, theta = sg.sdes.Krylov(30, 1e-6).bind(f, ETA, RealLogarithm("stop")), torch.zeros(2, DIM, dtype=T64)
    seen, few = model.both(theta, g, v), f.products
    with monkeypatch.context() as blind:
        blind.setattr(krylov, "may_look", lambda: False)
        unseen = model.both(theta, g, v)
    assert f.products - few == 60 > few
    for a, b in zip(seen, unseen, strict=True):
        assert float((a - b).abs().max()) < 1e-14 * float(b.abs().max())


@pytest.mark.parametrize("tolerance", [-1e-3, float("nan"), float("inf"), "small"])
def test_unusable_tolerance(tolerance: object) -> None:
    with pytest.raises(InputError, match="tolerance"):
        sg.sdes.Krylov(8, tolerance)  # type: ignore[arg-type]
