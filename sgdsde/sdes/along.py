"""What HA-SME would meet along a run, as observables of any kernel: how indefinite its exact Q is, and how many directions lie past ηλ = 1.

In up to 64 dimensions both are exact. Beyond, they are seen in the span V of the k outliers of the Hessian, where the Hadamard factors differ from 1: VᵀQV =
η(VᵀΣV)∘φ(mᵢmⱼ) needs Cov of the k directional derivatives Vᵀ∇ℓᵢ of the samples' losses, k products and no d×d matrix. A matrix with an indefinite
compression is indefinite, so a defect there proves one of Q; none there proves nothing. Eigenvalues ηλ > .99 count as .99 inside φ, as under ``log="clip"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.given import is_whole
from sgdsde.noise import Noise, as_noise
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.noises.surrogate import Surrogate
from sgdsde.objective import Objective, as_objective
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.hasme import HASME
from sgdsde.sdes.log_domain import X_MAX
from sgdsde.sdes.outliers import COLD_LEAST, COLD_ROUNDS, Outliers, cold_rows, outliers
from sgdsde.sdes.positivity import defect
from sgdsde.types import InputError, positive

#: dense Q and dense Hessians up to these dimensions
DENSE_Q, DENSE_HESSIAN = 64, 256
_GUARD = 2


@dataclass(frozen=True)
class PastLogarithm:
    """The share of eigendirections with ηλ ≥ 1, ``[P]``: of all of them up to 256 dimensions, beyond among the ``k`` outliers (the rest counts as inside).

    Raises:
        InputError: no objective, η ≤ 0, k < 1.

    Example:
        >>> share = sg.sdes.PastLogarithm(sg.objectives.Quadratic([4.0, 1.0]), 0.5)
        >>> share(torch.zeros(1, 2, dtype=torch.float64)).tolist()  # ηλ = 2 and ½
        [0.5]
    """

    objective: Objective
    eta: float
    k: int = 10

    def __post_init__(self) -> None:
        as_objective(self.objective)
        _check(self.eta, self.k)

    def __call__(self, theta: Float[Tensor, "paths dim"]) -> Float[Tensor, " paths"]:
        if self.objective.dim <= DENSE_HESSIAN:
            values = torch.linalg.eigvalsh(hessian(self.objective, theta).nan_to_num())
        else:
            values = _outliers(self.objective, theta, self.k).values
        share = (self.eta * values >= 1).sum(1).to(theta) / self.objective.dim
        return torch.where(torch.isfinite(theta).all(1), share, torch.nan)


@dataclass(frozen=True)
class PositivityDefect:
    """Negative mass over positive mass of HA-SME's exact Q, ``[P]``: of Q itself up to 64 dimensions, beyond of its compression to the ``k`` outliers.

    Raises:
        InputError: no noise, η ≤ 0, k < 1; a noise without minibatches in more than 64 dimensions.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([3.0, 0.1]), [[1.0, 1.0], [1.0, 1.0]])  # rank one, not along an axis
        >>> defect = sg.sdes.PositivityDefect(noise, 0.3)(torch.zeros(1, 2, dtype=torch.float64)).item()
        >>> 0.0 < defect < 1.0
        True
    """

    noise: Noise
    eta: float
    k: int = 10

    def __post_init__(self) -> None:
        as_noise(self.noise)
        _check(self.eta, self.k)
        source = self.noise.noise if isinstance(self.noise, Surrogate) else self.noise
        if self.noise.objective.dim > DENSE_Q and not isinstance(source, Minibatch | MinibatchWithoutReplacement):
            raise InputError(
                f"{type(self.noise).__name__} in {self.noise.objective.dim} dimensions: beyond {DENSE_Q} the defect is computed for minibatch noises, whose "
                "covariance needs no matrix."
            )

    def __call__(self, theta: Float[Tensor, "paths dim"]) -> Float[Tensor, " paths"]:
        f = self.noise.objective
        finite = torch.isfinite(theta).all(1)
        safe = torch.where(finite[:, None], theta, torch.zeros_like(theta))
        found = HASME(self.noise, self.eta, log="clip").defect(safe) if f.dim <= DENSE_Q else self._compressed(safe)
        return torch.where(finite, found, torch.nan)

    def _compressed(self, theta: Tensor) -> Tensor:
        f = self.noise.objective
        pairs = _outliers(f, theta, self.k)
        V, x = pairs.vectors[:, : self.k], (self.eta * pairs.values[:, : self.k]).clamp_max(X_MAX)
        slopes = _slopes(f, theta, V)
        slopes = slopes - slopes.mean(2, keepdim=True)
        return defect(slopes @ slopes.transpose(1, 2) * phi_pair(x))  # any factor of Σ cancels


def along_a_run(noise: Noise, eta: float, *, k: int = 10) -> dict[str, Callable[[Tensor], Tensor]]:
    """Both, for ``simulate(..., observe=…)``: ``defect of Q`` and ``share past eta·lambda = 1``.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([4.0, 1.0]), 1.0)
        >>> watched = sg.sdes.along_a_run(noise, 0.5)
        >>> sorted(watched)
        ['defect of Q', 'share past eta·lambda = 1']
    """
    return {"defect of Q": PositivityDefect(noise, eta, k), "share past eta·lambda = 1": PastLogarithm(noise.objective, eta, k)}


def _check(eta: float, k: int) -> None:
    positive(eta, "eta")
    if not is_whole(k, 1):
        raise InputError(f"k = {k!r}; wanted an integer ≥ 1, the number of outliers.")


def _slopes(f: Objective, theta: Tensor, V: Tensor) -> Tensor:
    """Vᵀ∇ℓᵢ of all samples, ``[P, k, n]``: ∇Σwᵢℓᵢ is linear in w, so its products with V differentiate to them."""
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        losses = f.sample_loss(point)
        weights = torch.zeros_like(losses, requires_grad=True)
        (slope,) = torch.autograd.grad((losses * weights).sum(), point, create_graph=True)
        return torch.stack([torch.autograd.grad(slope, weights, V[:, i], retain_graph=True)[0] for i in range(V.shape[1])], 1)


def _outliers(f: Objective, theta: Tensor, k: int) -> Outliers:
    """The k outliers from nothing, with residuals below a percent of the largest."""
    rows = cold_rows(theta, min(k + _GUARD, f.dim))
    return outliers(f, theta, rows, accept=_settled, rounds=COLD_ROUNDS, least=COLD_LEAST)


def _settled(values: Tensor, residuals: Tensor) -> Tensor:
    return residuals[:, : max(1, values.shape[1] - _GUARD)].amax(1) <= 0.01 * values.abs().amax(1)
