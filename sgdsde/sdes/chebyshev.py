"""Functions of ηH times vectors without eigenvectors, where a norm says that they are smooth: h(ηH)v = Σ cₖ Tₖ(ηH/R)v, certified path by path.

T₀v = v, T₁v = Av, Tₖ₊₁v = 2ATₖv − Tₖ₋₁v with A = ηH/R costs a product with the matrix a term and is stable, since |Tₖ| ≤ 1 on the spectrum. That the
spectrum lies in [−R, R] follows from min(‖ηH‖_F, ‖ηH‖_∞) ≤ R. For h = ℓ or s (:mod:`sgdsde.sdes.functions`), whose Taylor coefficients have one sign
and whose singularity is at 1, what is cut off after n terms is at most 2|h(a)|ρ⁻ⁿ/(ρ − 1) for every a < 1 with ρ + 1/ρ = 2a/R (Trefethen, Approximation
theory and approximation practice, thm 8.2). Coefficients come from a cosine transform and are cut where all that follow are rounding: at R = ¼, ½, ¾ after
17, 25, 41 terms in float64 and 7, 11, 17 in float32. An eigendecomposition by LAPACK costs as much as about 80 products from four dimensions on; below, closed
forms cost less. Where numba is installed all terms of eight or sixteen paths are summed while their matrices are in the cache (:mod:`sgdsde.compiled.series`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.fft import dct
from torch import Tensor

from sgdsde.symmetric import numbers_only

#: R of the series; a path takes the first that its norm allows
RADII = (0.25, 0.5, 0.75)
#: Chebyshev points from which coefficients are computed: aliasing is ρ⁻²⁵⁶ < 1e-88 at R = ¾
_POINTS = 256
#: dimensions up to which the compiled sum takes less than three quarters of the time of torch's products, for any number of paths (benchmarks/floors.md)
COMPILED_UP_TO = 48
#: more than the series of a function with its singularity at 1 could take
_MOST_TERMS = 64


class SeriesFunction:
    """A function of eigenvalues x = ηλ, analytic in |x| < 1, with its Chebyshev series on [−R, R]."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self._series: dict[tuple[float, torch.dtype], list[float]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """The function itself, element by element."""
        return self.function(x)

    def series(self, radius: float, dtype: torch.dtype) -> list[float]:
        """c₀ … cₙ₋₁, as many as count in this precision.

        Raises:
            RuntimeError: the function is not analytic in |x| < 1.
        """
        key = (radius, dtype)
        if key not in self._series:
            nodes = np.cos((np.arange(_POINTS) + 0.5) * np.pi / _POINTS)
            c = dct(self.function(torch.from_numpy(radius * nodes)[:, None])[:, 0].numpy(), type=2) / _POINTS
            c[0] /= 2
            counts = np.abs(c) > 2 * torch.finfo(dtype).eps * np.abs(c).max()
            terms = max(2, 1 + int(np.flatnonzero(counts)[-1]))
            if terms > _MOST_TERMS:
                raise RuntimeError(
                    f"{self.function!r} has no Chebyshev series of {_MOST_TERMS} terms on |x| ≤ {radius}; wanted a function analytic in |x| < 1."
                )
            self._series[key] = c[:terms].tolist()
        return self._series[key]


def norm_bound(matrices: Float[Tensor, "paths dim dim"]) -> Float[Tensor, " paths"]:
    """min(‖A‖_F, ‖A‖_∞) ≥ max|λ| of symmetric matrices; NaN where one holds NaN."""
    rows = matrices.abs() @ matrices.new_ones(matrices.shape[-1])
    return torch.minimum(rows.amax(1), torch.linalg.vector_norm(matrices.flatten(1), dim=1))


def certified_times(
    matrices: Float[Tensor, "paths dim dim"], eta: float, functions: Sequence[SeriesFunction], vectors: Sequence[Float[Tensor, "paths dim"]]
) -> tuple[list[Tensor], Int[Tensor, " left"]]:
    """h(ηH)v for each function and vector by the first series that the norm of a path's own ηH allows; and the paths for which none does, whose rows mean
    nothing."""
    if matrices.shape[-1] <= COMPILED_UP_TO and all(map(numbers_only, (matrices, *vectors))):
        return _side_by_side(matrices, eta, functions, vectors)
    return torch_times(matrices, eta, functions, vectors)


def torch_times(matrices: Tensor, eta: float, functions: Sequence[SeriesFunction], vectors: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The same by torch's products, class by class: what the compiled loops are held against."""
    kinds = torch.bucketize(eta * norm_bound(matrices), torch.tensor(RADII, dtype=matrices.dtype, device=matrices.device))  # len(RADII) where none fits
    present = [k for k in range(len(RADII) + 1) if bool((kinds == k).any())]
    if len(present) == 1 and present[0] < len(RADII):
        return series_times(matrices, eta, RADII[present[0]], functions, vectors), kinds[:0]
    results = [torch.empty_like(v) for v in vectors]
    for kind in present:
        if kind < len(RADII):
            paths = torch.nonzero(kinds == kind)[:, 0]
            for result, part in zip(results, series_times(matrices[paths], eta, RADII[kind], functions, [v[paths] for v in vectors]), strict=True):
                result[paths] = part
    return results, torch.nonzero(kinds == len(RADII))[:, 0]


def _side_by_side(matrices: Tensor, eta: float, functions: Sequence[SeriesFunction], vectors: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The same by compiled loops."""
    from sgdsde.compiled.series import series_into

    real = matrices.numpy().dtype
    table, lengths = np.zeros((len(functions), len(RADII), _MOST_TERMS), real), np.zeros((len(functions), len(RADII) + 1), np.int64)
    for i, function in enumerate(functions):
        for k, radius in enumerate(RADII):
            series = function.series(radius, matrices.dtype)
            table[i, k, : len(series)], lengths[i, k] = series, len(series)
    stacked = torch.stack(list(vectors))  # [vectors, paths, dim]
    results, outside = torch.empty_like(stacked), np.empty(len(matrices), np.bool_)
    given = matrices.resolve_neg().contiguous().numpy(), eta, np.array(RADII, real), table, lengths, stacked.resolve_neg().numpy()
    series_into(*given, results.numpy(), outside)
    return list(results), torch.from_numpy(np.flatnonzero(outside))


def series_times(
    matrices: Float[Tensor, "paths dim dim"], eta: float, radius: float, functions: Sequence[SeriesFunction], vectors: Sequence[Float[Tensor, "paths dim"]]
) -> list[Tensor]:
    """h(ηH)v for each function and vector, all spectra of ηH within ``radius``; the products advance together."""
    series = [function.series(radius, matrices.dtype) for function in functions]
    before = torch.stack(list(vectors), 1)  # [paths, vectors, dim], T₀v
    now = torch.bmm(before, matrices).mul_(eta / radius)
    sums = [(c[0] * before[:, i]).add_(now[:, i], alpha=c[1]) for i, c in enumerate(series)]
    for k in range(2, max(map(len, series))):
        before.baddbmm_(now, matrices, beta=-1, alpha=2 * eta / radius)
        before, now = now, before
        for i, c in enumerate(series):
            if k < len(c):
                sums[i].add_(now[:, i], alpha=c[k])
    return sums
