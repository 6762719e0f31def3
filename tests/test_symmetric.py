"""Eigenpairs of small symmetric matrices and functions built on them: against LAPACK and against the same function at twice the digits, clusters included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sgdsde import symmetric
from sgdsde.sdes.functions import ell, phi_pair, phi_square
from sgdsde.symmetric import broken_matrices, eigenpairs

T64, T32 = torch.float64, torch.float32
#: in units of rounding, relative to the largest entry; LAPACK's own reach 20
BACKWARD, APART = 32.0, 64.0

SPECTRA: dict[str, list[float]] = {
    "apart": [-0.6, 0.1, 0.8],
    "double": [0.5, 0.5, -0.2],
    "double from above": [0.7, 0.7, 0.9],
    "triple": [0.3, 0.3, 0.3],
    "zero": [0.0, 0.0, 0.0],
    "rank one": [0.0, 0.0, 0.9],
    "opposite": [0.5, -0.5, 0.0],
    "near double": [0.5, 0.5 + 1e-9, -0.2],
    "nearer double": [0.5, 0.5 + 3e-16, 0.8],
    "near triple": [0.4, 0.4 + 1e-8, 0.4 - 3e-12],
    "many scales": [0.8, 1e-6, 1e-13],
}


def matrices(spectrum: list[float], dim: int, *, scale: float = 1.0, count: int = 500, seed: int = 0) -> Tensor:
    """Symmetric matrices with these eigenvalues: turned at random, the axes kept and the axes exchanged among them."""
    generator = torch.Generator().manual_seed(seed)
    U = torch.linalg.qr(torch.randn(count, dim, dim, dtype=T64, generator=generator))[0]
    U[0], U[1] = torch.eye(dim, dtype=T64), torch.eye(dim, dtype=T64).flip(0)
    A = (U * (scale * torch.tensor(spectrum[:dim], dtype=T64))) @ U.transpose(1, 2)
    return (A + A.transpose(1, 2)) / 2


def worst(A: Tensor) -> tuple[float, float, float]:
    """‖A − UΛUᵀ‖, ‖UᵀU − I‖ and the distance of the eigenvalues to LAPACK's, all in units of rounding of A's size."""
    values, U = eigenpairs(A)
    unit = torch.finfo(A.dtype).eps
    size = A.abs().amax((1, 2)).clamp_min(torch.finfo(A.dtype).tiny)
    back = ((U * values[:, None]) @ U.transpose(1, 2) - A).abs().amax((1, 2)) / size
    square = (U.transpose(1, 2) @ U - torch.eye(A.shape[1], dtype=A.dtype)).abs().amax((1, 2))
    lapack = (values.sort(1)[0] - torch.linalg.eigvalsh(A)).abs().amax(1) / size
    return float(back.max()) / unit, float(square.max()) / unit, float(lapack.max()) / unit


@pytest.mark.parametrize("dtype", [T64, T32])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("name", list(SPECTRA))
def test_eigenpairs_are_backward_stable(name: str, dim: int, dtype: torch.dtype) -> None:
    """Every spectrum, at sizes whose squares would overflow or vanish in float32 as well."""
    for scale in (1.0, 1e-25, 1e25):
        back, square, apart = worst(matrices((SPECTRA[name] + [0.2])[:dim], dim, scale=scale).to(dtype))
        assert max(back, square) < BACKWARD, (scale, back, square)
        assert apart < APART, (scale, apart)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_turn_the_wrong_way_is_noticed(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: −sin for sin."""
    right = symmetric._rotation

    def wrong(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cosine, sine, shift = right(a, b, c)
        return cosine, -sine, shift

    monkeypatch.setattr(symmetric, "_rotation", wrong)
    assert worst(matrices(SPECTRA["apart"], dim))[0] > 1e6


def through(pairs: Callable[[Tensor], tuple[Tensor, Tensor]], function: Callable[[Tensor], Tensor], A: Tensor) -> Tensor:
    values, U = pairs(A)
    return (U * function(values)[:, None]) @ U.transpose(1, 2)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"flow": ell, "amplifier": lambda x: phi_square(x).sqrt(), "logarithm": lambda x: torch.log1p(-x)}


@pytest.mark.parametrize("name", list(SPECTRA))
def test_functions_of_matrices_keep_their_digits(name: str) -> None:
    """f(A) in float32 against float64 on the same matrix: 40 units of rounding times f's steepness on [−.6, .9], 11 at most, so 5e-5."""
    for dim in (2, 3):
        A = matrices(SPECTRA[name], dim).float()
        for function in FUNCTIONS.values():
            exact = through(torch.linalg.eigh, function, A.double())
            assert float((through(eigenpairs, function, A).double() - exact).abs().max()) < 5e-5


def test_an_ill_chosen_column_of_the_adjugate_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: always its first column, which vanishes where the eigenvector has no first entry."""

    def first(n00: Tensor, n01: Tensor, n02: Tensor, n11: Tensor, n12: Tensor, n22: Tensor) -> tuple[Tensor, ...]:
        column = torch.stack([n11 * n22 - n12 * n12, n02 * n12 - n01 * n22, n01 * n12 - n02 * n11])
        return tuple(column / column.norm(dim=0))

    A = matrices(SPECTRA["apart"], 3)
    with monkeypatch.context() as patch:
        patch.setattr(symmetric, "_null_vector", first)
        assert not worst(A)[1] < BACKWARD
    assert worst(A)[1] < BACKWARD


@pytest.mark.parametrize("name", list(SPECTRA))
def test_hadamard_products_keep_their_digits(name: str) -> None:
    """U[(UᵀΣU)ᵢⱼφ(mᵢmⱼ)]Uᵀ in float32 against float64: 1e-4, where φ is at most 4.7."""
    sigma = torch.tensor([[1.0, 0.3, -0.2], [0.3, 0.6, 0.1], [-0.2, 0.1, 0.8]], dtype=T64)
    for dim in (2, 3):
        A, found = matrices(SPECTRA[name], dim).float(), {}
        for dtype, pairs in ((T32, eigenpairs), (T64, torch.linalg.eigh)):
            x, U = pairs(A.to(dtype))
            rotated = U.transpose(1, 2) @ sigma[:dim, :dim].to(dtype) @ U * phi_pair(x)
            found[dtype] = (U @ rotated @ U.transpose(1, 2)).double()
        assert float((found[T32] - found[T64]).abs().max()) < 1e-4


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_matrices_do_not_meet(dim: int) -> None:
    """A matrix's numbers are the same alone, in any company and beside a broken one, whose eigenvalues are NaN."""
    A = torch.randn(1001, dim, dim, dtype=T64, generator=torch.Generator().manual_seed(dim))
    A = A + A.transpose(1, 2)
    values, U = eigenpairs(A)
    for size in (1, 5, 64, 97):
        apart = [eigenpairs(part) for part in A.split(size)]
        assert torch.equal(torch.cat([part[0] for part in apart]), values)
        assert torch.equal(torch.cat([part[1] for part in apart]), U)
    A, values, U = A[:37], values[:37], U[:37]
    mixed = A.clone()
    mixed[3, 0, 0], mixed[9, dim - 1, 0] = torch.nan, torch.inf
    kept = torch.ones(37, dtype=torch.bool)
    kept[[3, 9]] = False
    found = eigenpairs(mixed)
    assert bool(torch.isnan(found[0][~kept]).all())
    assert torch.equal(found[0][kept], values[kept])
    assert torch.equal(found[1][kept], U[kept])


def test_a_finite_batch_whose_sum_overflows_is_not_broken() -> None:
    A = torch.full((3, 2, 2), 3e38, dtype=T32)
    assert broken_matrices(A) is None
    A[1, 0, 1] = torch.inf
    assert broken_matrices(A).tolist() == [False, True, False]
