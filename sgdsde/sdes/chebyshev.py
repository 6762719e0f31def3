"""Functions of ηH times vectors without eigenvectors, where a norm says that they are smooth: h(ηH)v = Σ cₖ Tₖ(ηH/R)v, certified path by path.

T₀v = v, T₁v = Av, Tₖ₊₁v = 2ATₖv − Tₖ₋₁v with A = ηH/R costs a product with the matrix a term and is stable, since |Tₖ| ≤ 1 on the spectrum. That the
spectrum lies in [−R, R] follows from min(‖ηH‖_F, ‖ηH‖_∞) ≤ R. For h = ℓ or s (:mod:`sgdsde.sdes.functions`), whose Taylor coefficients have one sign
and whose singularity is at 1, what is cut off after n terms is at most 2|h(a)|ρ⁻ⁿ/(ρ − 1) for every a < 1 with ρ + 1/ρ = 2a/R (Trefethen, Approximation
theory and approximation practice, thm 8.2). Coefficients come from a cosine transform and are cut where all that follow are rounding: at R = ¼, ½, ¾ after
17, 25, 41 terms in float64 and 7, 11, 17 in float32. An eigendecomposition costs as much as about 80 products from four dimensions on; below, closed forms
cost less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct
from torch import Tensor

#: R of the series; a path takes the first that its norm allows
RADII = (0.25, 0.5, 0.75)
#: Chebyshev points from which coefficients are computed: aliasing is ρ⁻²⁵⁶ < 1e-88 at R = ¾
_POINTS = 256
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
