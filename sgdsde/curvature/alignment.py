"""How far the gradient noise follows the curvature: tr(HΣ), cosine, best Σ ≈ cH, commutator, and the exponent of Σᵢᵢ ~ Gᵢᵢ^γ.

With ⟨A, B⟩ = tr(AB): cos = ⟨H, Σ⟩/(‖H‖‖Σ‖) is 1 exactly where Σ = cH, c > 0; the best such c is ⟨H, Σ⟩/‖H‖² and leaves the share √(1−cos²) of ‖Σ‖
unexplained. The commutator ‖HΣ−ΣH‖/(2‖HΣ‖) lies in [0, 1]: 0 where H and Σ share eigenvectors (then exact and product form of HA-SME agree), at most
1/√2 where both are positive semi-definite, since ‖HΣ−ΣH‖² = 2‖HΣ‖² − 2tr(HΣHΣ). Norms are Frobenius'. Exact from matrices below ``dense_below``
dimensions; above, from products with random signs v: E(Av)ᵀ(Bv) = tr(AB), error bars of ratios by the jackknife.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats as distributions
from torch import Tensor

from sgdsde.curvature.operator import DENSE_DIM, Operator
from sgdsde.curvature.traces import signs
from sgdsde.types import Estimate, InputError


@dataclass(frozen=True)
class Alignment:
    """``product`` = tr(HΣ); ``cosine`` = tr(HΣ)/(‖H‖‖Σ‖); ``factor`` = tr(HΣ)/‖H‖², the best c in Σ ≈ cH; ``commutator`` = ‖HΣ−ΣH‖/(2‖HΣ‖).

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0])))
        >>> found = sg.curvature.noise_alignment(A, A)
        >>> found.product.value, round(found.cosine.value, 9), found.factor.value, found.commutator.value  # Σ = H
        (10.0, 1.0, 1.0, 0.0)
    """

    product: Estimate
    cosine: Estimate
    factor: Estimate
    commutator: Estimate
    method: str

    @property
    def unexplained(self) -> float:
        """min_c ‖Σ − cH‖/‖Σ‖ = √(1−cos²)."""
        return float(np.sqrt(max(0.0, 1 - float(self.cosine.value) ** 2)))


def noise_alignment(H: Operator, Sigma: Operator, *, vectors: int = 64, seed: int = 0, dense_below: int = DENSE_DIM) -> Alignment:
    """The alignment of a noise covariance with a curvature on the same space.

    Raises:
        InputError: different dimensions, fewer than 2 vectors, or one of the two is zero.

    Example:
        >>> H = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0])))
        >>> Sigma = sg.curvature.Matrix(torch.diag(torch.tensor([0.0, 1.0])))
        >>> sg.curvature.noise_alignment(H, Sigma).product.value  # tr(HΣ)
        1.0
    """
    if H.dim != Sigma.dim:
        raise InputError(f"Operators of dimensions {H.dim} and {Sigma.dim}; wanted two on the same parameters.")
    if H.dim <= dense_below:
        A, S = H.dense(), Sigma.dense()
        AS = A @ S
        rows = [(A * S).sum(), (A * A).sum(), (S * S).sum(), (AS * AS).sum(), ((AS - AS.T) ** 2).sum()]
        samples, method = np.array([[float(value) for value in rows]]), "dense"
    else:
        v = signs(H.dim, vectors, seed).to(H.device, H.dtype)
        Av, Sv = H @ v, Sigma @ v
        ASv, SAv = H @ Sv, Sigma @ Av
        sums = [(Av * Sv).sum(0), (Av**2).sum(0), (Sv**2).sum(0), (ASv**2).sum(0), ((ASv - SAv) ** 2).sum(0)]
        samples, method = torch.stack(sums, 1).cpu().double().numpy(), f"{vectors} random vectors"
    mean = samples.mean(0)
    if not (mean[1] > 0 and mean[2] > 0):
        raise InputError("H or Σ is zero at this point: it has no direction to align with.")
    return Alignment(
        product=jackknife(samples, lambda m: m[..., 0]),
        cosine=jackknife(samples, lambda m: m[..., 0] / np.sqrt(m[..., 1] * m[..., 2])),
        factor=jackknife(samples, lambda m: m[..., 0] / m[..., 1]),
        commutator=jackknife(samples, lambda m: np.sqrt(m[..., 4] / np.where(m[..., 3] > 0, 4 * m[..., 3], np.inf))),
        method=method,
    )


def jackknife(samples: Float[np.ndarray, "n m"], function: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """φ(mean of the rows) with the jackknife's standard error; exact (no error) for one row. φ acts on the last axis."""
    n = samples.shape[0]
    value = float(function(samples.mean(0)))
    if n == 1:
        return Estimate.exact(value)
    left_out = function((samples.sum(0) - samples) / (n - 1))
    return Estimate.normal(value, float(np.sqrt((n - 1) * np.var(left_out))), n)


@dataclass(frozen=True)
class PowerLaw:
    """log y = intercept + exponent·log x by least squares; ``used`` and ``dropped`` coordinates, and R².

    Example:
        >>> curvature = torch.tensor([1.0, 2.0, 4.0, 8.0])
        >>> found = sg.curvature.diagonal_slope(curvature**2, curvature)
        >>> round(float(found.exponent.value), 6), found.used
        (2.0, 4)
    """

    exponent: Estimate
    intercept: float
    r_squared: float
    used: int
    dropped: int


def diagonal_slope(noise: Float[Tensor, " dim"], curvature: Float[Tensor, " dim"], *, floor: float = 1e-12) -> PowerLaw:
    """γ in Σᵢᵢ ~ Gᵢᵢ^γ from two diagonals: the slope of log Σᵢᵢ on log Gᵢᵢ (Wu et al. 2010.04261 expect 1 ≤ γ ≤ 2).

    Coordinates with an entry below ``floor`` of its diagonal's largest (dead inputs) are dropped and counted. The interval is that of least squares with
    independent residuals; coordinates of one layer are not independent, so across networks compare slopes of several seeds.

    Raises:
        InputError: different lengths, or fewer than three coordinates left.

    Example:
        >>> curvature = torch.tensor([1.0, 2.0, 4.0, 8.0])
        >>> round(float(sg.curvature.diagonal_slope(3 * curvature**1.5, curvature).exponent.value), 6)
        1.5
    """
    y, x = (np.asarray(part.detach().cpu() if isinstance(part, Tensor) else part, dtype=float).ravel() for part in (noise, curvature))
    if x.size != y.size or x.size == 0:
        raise InputError(f"Diagonals of {y.size} and {x.size} entries; wanted two of one length.")
    keep = (x > floor * x.max()) & (y > floor * y.max()) & (x > 0) & (y > 0)
    if keep.sum() < 3:
        raise InputError(f"{int(keep.sum())} coordinates have both entries above {floor:g} of the largest; a slope needs three.")
    fit = distributions.linregress(np.log(x[keep]), np.log(y[keep]))
    used = int(keep.sum())
    return PowerLaw(Estimate.normal(fit.slope, fit.stderr, used), float(fit.intercept), float(fit.rvalue**2), used, int(x.size - used))
