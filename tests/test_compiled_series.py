"""The compiled sum of Chebyshev series: torch's products on drawn paths, each path by itself to the last bit."""

from __future__ import annotations

import math

import pytest
import torch
from compiled_mutants import mutant
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sgdsde import compiled
from sgdsde.sdes.chebyshev import RADII, SeriesFunction, certified_times, norm_bound, torch_times
from sgdsde.sdes.functions import ell
from sgdsde.sdes.matrix_functions import root_phi

pytestmark = pytest.mark.skipif(not compiled.available(), reason="numba is not installed: pip install 'sgdsde[compiled]'")

T64, T32 = torch.float64, torch.float32
ETA = 0.3
FUNCTIONS = [SeriesFunction(ell), SeriesFunction(root_phi)]
#: units of rounding of ‖v‖ between two orders of summation; the functions are below 1.9, their series have up to 41 terms
APART = 100.0


def problem(dim: int, dtype: torch.dtype, norms: list[float], seed: int) -> tuple[Tensor, list[Tensor]]:
    """A matrix and two vectors a path; norms are those of ηA."""
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(len(norms), dim, dim, dtype=T64, generator=generator)
    A = A + A.transpose(1, 2)
    A = A * (torch.tensor(norms, dtype=T64) / ETA / norm_bound(A))[:, None, None]
    return A.to(dtype), list(torch.randn(2, len(norms), dim, dtype=T64, generator=generator).to(dtype))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, list[Tensor]]:
    """Paths of all classes side by side: zero, small, near each radius, beyond the last."""
    sizes = st.sampled_from([0.0, 1e-30, 0.1, 0.2499, 0.2501, 0.4, 0.499, 0.501, 0.74, 0.751, 0.9, 3.0])
    norms = draw(st.lists(sizes, min_size=1, max_size=40))
    return problem(draw(st.sampled_from([4, 5, 7, 10, 16, 31])), draw(st.sampled_from([T64, T32])), norms, draw(st.integers(0, 2**31)))


def by_torch(A: Tensor, vectors: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    return torch_times(A, ETA, FUNCTIONS, vectors)


def distance(found: tuple[list[Tensor], Tensor], wanted: tuple[list[Tensor], Tensor], vectors: list[Tensor]) -> float:
    """In units of rounding of ‖v‖, over the paths with a radius; infinite where these differ."""
    if not torch.equal(found[1], wanted[1]):
        return torch.inf
    kept = torch.ones(len(vectors[0]), dtype=torch.bool)
    kept[wanted[1]] = False
    worst = [((a - b)[kept].norm(dim=1) / v[kept].norm(dim=1)).max() for a, b, v in zip(found[0], wanted[0], vectors, strict=True) if bool(kept.any())]
    return max(map(float, worst), default=0.0) / torch.finfo(vectors[0].dtype).eps


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problems())
def test_the_sums_are_those_of_torch(given_: tuple[Tensor, list[Tensor]]) -> None:
    A, vectors = given_
    assert distance(certified_times(A, ETA, FUNCTIONS, vectors), by_torch(A, vectors), vectors) < APART


@settings(max_examples=30, deadline=None, derandomize=True)
@given(problems())
def test_a_path_does_not_know_its_neighbours(given_: tuple[Tensor, list[Tensor]]) -> None:
    """The same bits, signs of zeros too, alone, in another order and in pieces of every size; alone as one function or two."""
    A, vectors = given_
    together, left = certified_times(A, ETA, FUNCTIONS, vectors)
    outside = torch.zeros(len(A), dtype=torch.bool)
    outside[left] = True
    order = torch.randperm(len(A), generator=torch.Generator().manual_seed(1))
    for picked in (torch.arange(len(A)), order, order.repeat(3)):
        for size in (1, 5, 8, 16, 17):
            for part in picked.split(size):
                found, gone = certified_times(A[part], ETA, FUNCTIONS, [v[part] for v in vectors])
                assert torch.equal(torch.nonzero(outside[part])[:, 0], gone)
                inside = part[~outside[part]]
                for k in (0, 1):
                    assert same_bits(found[k][~outside[part]], together[k][inside])
    single = certified_times(A, ETA, FUNCTIONS[1:], vectors[1:])[0][0]
    assert same_bits(single[~outside], together[1][~outside])


def same_bits(a: Tensor, b: Tensor) -> bool:
    words = torch.int64 if a.dtype is T64 else torch.int32
    return torch.equal(a.contiguous().view(words), b.contiguous().view(words))


MUTANTS = {
    "a sign": ("zero - load(old, m * n + j)", "load(old, m * n + j)"),
    "every path by the first radius's coefficients": ("select(mine <= spread(real(radius)), ", "select(mine <= spread(real(9)), "),
    "six terms less": ("range(2, terms)", "range(2, terms - 6)"),
    "the smaller norm for the larger": ("select(rows <= size, rows, size)", "select(rows <= size, rows, size) * spread(real(0.5))"),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutants_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compiled in the module's place and fails the bound that the module keeps, on paths of every class."""
    from sgdsde.compiled import series

    changed = mutant(series, *MUTANTS[name])
    A, vectors = problem(5, T64, [0.2, 0.45, 0.7, 0.9] * 5, 3)
    assert distance(certified_times(A, ETA, FUNCTIONS, vectors), by_torch(A, vectors), vectors) < APART
    monkeypatch.setattr(series, "series_into", changed.series_into)
    assert not distance(certified_times(A, ETA, FUNCTIONS, vectors), by_torch(A, vectors), vectors) < APART


def test_lost_paths_are_left_and_harm_no_other() -> None:
    """NaN or infinity in a matrix: no radius; in a vector: that path's result is not finite. The others keep their bits."""
    A, vectors = problem(6, T64, [0.2, 0.45, 0.7] * 7, 2)
    calm, _ = certified_times(A, ETA, FUNCTIONS, vectors)
    A[3, 0, 0], A[4, 5, 2], vectors[0][6, 1] = torch.nan, torch.inf, torch.nan
    found, left = certified_times(A, ETA, FUNCTIONS, vectors)
    assert left.tolist() == [3, 4]
    assert torch.isnan(found[0]).any(1).tolist()[6]
    kept = torch.ones(21, dtype=torch.bool)
    kept[[3, 4, 6]] = False
    for k in (0, 1):
        assert same_bits(found[k][kept], calm[k][kept])


def test_radii_are_met_to_the_last_digit() -> None:
    """A norm of a radius itself belongs to it, the next number to the next: ηA diagonal, so that both norms are one entry's."""
    norms = torch.tensor([value for radius in RADII for value in (radius, math.nextafter(radius, 1.0))], dtype=T64)
    A = torch.zeros(len(norms), 4, 4, dtype=T64)
    A[:, 0, 0] = norms
    vectors = list(torch.ones(2, len(norms), 4, dtype=T64))
    _, left = certified_times(A, 1.0, FUNCTIONS, vectors)
    assert torch.equal(left, torch_times(A, 1.0, FUNCTIONS, vectors)[1])
    assert left.tolist() == [5]
