"""Functions of the Hessian from its outliers: exact on the k eigenpairs of largest |λ|, second order in ηλ on the bulk.

With p the Taylor polynomial of degree 2 of h,  h(ηH)v ≈ p(ηH)v + Σ_{i≤k} [h(xᵢ) − p(xᵢ)](uᵢᵀv)uᵢ,  xᵢ = ηλᵢ: three terms of the series cost two products for
any number of vectors, and the bracket is O(x³), so what small eigenvalues do to the eigenvectors hardly matters. The functions:

- ℓ(x) = log(1−x)/x = −(1 + x/2 + x²/3) − x³/4 − …
- s(x) = φ((1−x)²)^½ with φ(u) = log(u)/(u−1), u − 1 = x² − 2x: φ = 1 + x + 5x²/6 + 2x³/3 + …, s = 1 + x/2 + 7x²/24 + 3x³/16 + …

All coefficients of −ℓ and s are positive and those of s smaller, so on a bulk |x| ≤ x_b both errors are at most e(x_b) = −ℓ(x_b) − 1 − x_b/2 − x_b²/3
= Σ_{j≥3} x_bʲ/(j+1), between x_b³/4 and x_b³ for x_b ≤ .85. Outliers that are off by residuals rᵢ move the functions, to first order,
by at most η‖rᵢ‖·|h′ − p′| each, and |h′ − p′| ≤ x²/(1−x⁺): this is what the tolerance bounds. Sagun et al. 1706.04454: in trained
networks k is about the number of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hvp_at
from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.sdes.functions import ell, phi_square
from sgdsde.sdes.log_domain import LogDomain
from sgdsde.sdes.matrix_functions import HessianFunctions, MatrixFunctions, congruence_by_rows
from sgdsde.sdes.outliers import COLD_LEAST, COLD_ROUNDS, WARM_ROUNDS, Outliers, Tracked, cold_rows, outliers, ritz, whitened
from sgdsde.types import DomainError, InputError, positive, report_count, report_worst

#: Taylor coefficients of degree 0, 1, 2
ELL_SERIES, ROOT_PHI_SERIES = (-1.0, -1 / 2, -1 / 3), (1.0, 1 / 2, 7 / 24)
#: rows beyond k: they make the k-th pair converge, and their largest value is the bulk's edge
_GUARD = 2

FLOW, AMPLIFIER = "flow", "amplifier"


@dataclass(frozen=True)
class Spectral(MatrixFunctions):
    """The k outliers of either sign, tracked along a path, and the bulk to second order.

    Args:
        k: outliers.
        tolerance: largest error of a function, per unit of the vector, that an inaccurate outlier may cause; where a step exceeds it the eigenpairs are
            computed anew. What remains above it is counted (``outliers above tolerance``).
        bulk: largest accepted η|λ| of the bulk; more is refused before a run and counted in it (``bulk too wide``). The expansion's error is e(bulk).

    A run's tally also holds the worst ``eta·lambda of the bulk``, ``error bound of the bulk`` and ``error bound of the outliers``.

    Raises:
        InputError: k is no integer ≥ 1, tolerance ≤ 0, or bulk outside (0, 0.85].

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0, 0.1, 0.1]), 1.0)
        >>> sde = sg.sdes.HASMEProduct(noise, 0.25, functions=sg.sdes.Spectral(1))  # one outlier, a bulk
        >>> sde.drift(0.0, torch.ones(1, 3, dtype=torch.float64)).shape
        torch.Size([1, 3])
    """

    k: int = 10
    tolerance: float = 1e-2
    bulk: float = 0.5

    def __post_init__(self) -> None:
        if not is_whole(self.k, 1):
            raise InputError(f"k = {self.k!r}; wanted an integer ≥ 1, the number of outlier eigenvalues (about the number of classes in trained networks).")
        positive(self.tolerance, "tolerance")
        if positive(self.bulk, "bulk") > 0.85:
            raise InputError(f"bulk = {self.bulk}; wanted at most 0.85: beyond, the second-order expansion says nothing. Use more outliers, or Krylov(steps).")

    def bind(self, objective: Objective, eta: float, domain: LogDomain) -> HessianFunctions:
        return _SpectralFunctions(objective, eta, domain, self)


def bulk_error(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """e(x) = −ℓ(|x|) − 1 − |x|/2 − x²/3, the largest error of either function on a bulk of |ηλ| ≤ |x|."""
    size = x.abs()
    powers = torch.arange(3, 40, dtype=x.dtype, device=x.device)
    series = (size[..., None].clamp_max(0.5) ** powers / (powers + 1)).sum(-1)  # the difference would lose its digits
    return torch.where(size < 0.5, series, -ell(size) - _series([-c for c in ELL_SERIES], size))


class _SpectralFunctions(HessianFunctions):
    def __init__(self, objective: Objective, eta: float, domain: LogDomain, settings: Spectral) -> None:
        self._objective, self._eta, self._domain, self._settings = objective, eta, domain, settings
        self._rows = min(settings.k + _GUARD, objective.dim)
        self._k = min(settings.k, objective.dim)
        self._tracked = Tracked()
        if objective.facts.constant_hessian:
            origin = torch.zeros(1, objective.dim, dtype=torch.float64)
            domain.refuse(eta * self._cold(origin).values)

    def flow(self, theta: Tensor, g: Tensor) -> Tensor:
        return self._apply(theta, [g], [FLOW])[0]

    def amplify(self, theta: Tensor, v: Tensor) -> Tensor:
        return self._apply(theta, [v], [AMPLIFIER])[0]

    def both(self, theta: Tensor, g: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self._apply(theta, [g, v], [FLOW, AMPLIFIER])
        return first, second

    def congruence(self, theta: Tensor, sigma: Tensor) -> Tensor:
        return congruence_by_rows(self.amplify, theta, sigma)

    def begin(self) -> None:
        self._tracked.forget()

    def check(self, theta: Tensor) -> None:
        """Refuse where the bulk is too wide at the first start points for the expansion."""
        found = self._cold(theta[:8])
        if self._rows < theta.shape[1]:
            widest = float((self._eta * found.values[:, self._k :]).abs().nan_to_num().max())
            if widest > self._settings.bulk:
                raise DomainError(
                    f"eta·|lambda| of the bulk is {widest:.3g} beside k = {self._k} outliers, more than bulk = {self._settings.bulk}: its expansion would be "
                    f"off by up to {float(bulk_error(torch.tensor(widest, dtype=torch.float64))):.2g}. Use a larger k, a smaller eta, or Krylov(steps)."
                )

    def _apply(self, theta: Tensor, vectors: Sequence[Tensor], kinds: Sequence[str]) -> list[Tensor]:
        eta, V = self._eta, torch.stack(list(vectors), 1)  # [paths, vectors, dim]
        product = hvp_at(self._objective, theta)
        rows = self._tracked.recall(theta)
        if rows is None:
            found, first = self._cold(theta), product(V)
            second = product(first)
        else:
            images = product(torch.cat([rows, V], 1))
            first = images[:, self._rows :]
            second = product(first)
            # H is known on v, Hv of every vector too: an outlier that has grown meanwhile shows there, since the noise's v is fresh at each step
            known = whitened(torch.cat([rows, V, first], 1), torch.cat([images, second], 1))
            found = self._refined(theta, *ritz(*known, self._rows))
        self._tracked.keep(torch.where(torch.isfinite(theta).all(1)[:, None, None], found.vectors, cold_rows(theta, self._rows)))
        self._report(found, theta.shape[1])
        x = eta * found.values[:, : self._k]
        guarded = self._domain.guard(x)
        inner = V @ found.vectors[:, : self._k].transpose(1, 2)  # [paths, vectors, k]
        results = []
        for i, kind in enumerate(kinds):
            series, function = (ELL_SERIES, ell) if kind == FLOW else (ROOT_PHI_SERIES, _root_phi)
            polynomial = series[0] * V[:, i] + series[1] * eta * first[:, i] + series[2] * eta**2 * second[:, i]
            bracket = function(guarded) - _series(series, x)
            results.append(polynomial + ((bracket * inner[:, i])[:, None] @ found.vectors[:, : self._k])[:, 0])
        return results

    def _accept(self, values: Tensor, residuals: Tensor) -> Tensor:
        """Whether the k outliers' residuals move the functions by less than the tolerance, ``[P]``."""
        return self._weighted(values, residuals) <= self._settings.tolerance

    def _weighted(self, values: Tensor, residuals: Tensor) -> Tensor:
        """The root of the sum of squares of η‖r‖·x²/(1 − x⁺) over the outliers, x held below 1."""
        x = self._eta * values[:, : self._k]
        return torch.linalg.vector_norm(self._eta * residuals[:, : self._k] * x * x / (1 - x.clamp(0, 0.99)), dim=1)

    def _cold(self, theta: Tensor) -> Outliers:
        found = outliers(self._objective, theta, cold_rows(theta, self._rows), accept=self._settled, rounds=COLD_ROUNDS, least=COLD_LEAST)
        unsettled = ~self._settled(found.values, found.residuals) & torch.isfinite(theta).all(1)
        if bool(unsettled.any()):
            report_count("outliers above tolerance", int(unsettled.sum()))
        return found

    def _settled(self, values: Tensor, residuals: Tensor) -> Tensor:
        """A cold start must also know which the outliers are: their residuals lie within the tolerance of the bulk's edge, unless all of them are tiny."""
        relative = self._eta * residuals[:, : self._k].amax(1) <= 0.05 * self._eta * values.abs().amin(1)
        tiny = (self._eta * (values.abs() + residuals)).amax(1) <= self._settings.tolerance ** (1 / 3)
        return self._accept(values, residuals) & (relative | tiny)

    def _refined(self, theta: Tensor, found: Outliers, images: Tensor) -> Outliers:
        """The eigenpairs of the paths that are not accurate enough computed anew: from those at hand, and from nothing where that does not do.

        ``images``: H times the vectors at hand.
        """
        mask = ~self._accept(found.values, found.residuals) & torch.isfinite(theta).all(1)
        for attempt in ("outliers recomputed", "outliers recomputed from nothing"):
            if not bool(mask.any()):
                return found
            paths = torch.nonzero(mask)[:, 0]
            report_count(attempt, len(paths))
            if attempt == "outliers recomputed":
                rows, known = found.vectors[paths], images[paths]
                better = outliers(self._objective, theta[paths], rows, accept=self._accept, rounds=WARM_ROUNDS, least=1, images=known)
            else:
                better = self._cold(theta[paths])
            found = found.replaced(paths, better)
            mask = mask & ~self._accept(found.values, found.residuals)
        return found

    def _report(self, found: Outliers, dim: int) -> None:
        report_worst("error bound of the outliers", float(self._weighted(found.values, found.residuals).nan_to_num().max()))
        if self._rows >= dim:
            return
        edge = (self._eta * found.values[:, self._k :]).abs().amax(1).nan_to_num()
        report_worst("eta·lambda of the bulk", float(edge.max()))
        report_worst("error bound of the bulk", float(bulk_error(edge.clamp_max(0.99)).max()))
        wide = int((edge > self._settings.bulk).sum())
        if wide:
            report_count("bulk too wide", wide)


def _root_phi(x: Tensor) -> Tensor:
    return phi_square(x).sqrt()


def _series(coefficients: Sequence[float], x: Tensor) -> Tensor:
    return coefficients[0] + x * (coefficients[1] + x * coefficients[2])
