"""What an SDE model is: dX = b(t, X) dt + D(t, X) dW (Itô), on an ensemble of paths.

The models of SGD share a shape: b and Q = DDᵀ are built from g = ∇f, H = ∇²f, Σ and η. :class:`ModifiedEquation` holds these; each model
is one file in ``sdes/``. Where a model does not exist at a point it returns NaN there and reports the path (see ``types.report_flags``);
the loop then freezes the path with status ``OUT_OF_DOMAIN``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.noise import HeavyTailedNoise, Noise, as_noise
from sgdsde.noises.gaussian import Gaussian, growing_covariance
from sgdsde.objective import Points
from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.quadratic import Quadratic
from sgdsde.types import Conventions, InputError, expected, positive, whole

Increments = Float[Tensor, "paths noise_dim"]
Matrices = Float[Tensor, "paths dim dim"]


class SDE(ABC):
    """dX = b dt + D dW with an m-dimensional Brownian motion, m = ``noise_dim``.

    ``additive`` says that D does not depend on the state (then stochastic Heun has weak order 2). ``eta`` is the step size of the SGD
    that is modelled, None for an SDE that knows of none.

    Example:
        >>> sde = sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0), 0.1)
        >>> isinstance(sde, sg.SDE), sde.noise_dim, sde.additive
        (True, 1, True)
        >>> A, c, Q = sde.affine()  # dX = (AX + c) dt + √Q dW
        >>> A.item(), abs(c.item()), Q.item()
        (-2.0, 0.0, 0.1)
    """

    dim: int
    noise_dim: int
    eta: float | None = None
    additive: bool = False

    @property
    def width(self) -> int:
        """Numbers per path that one evaluation touches."""
        return max(self.dim, self.noise_dim)

    @abstractmethod
    def drift(self, t: float, x: Points) -> Points:
        """b(t, x), ``[P, dim]``."""

    @abstractmethod
    def diffuse(self, t: float, x: Points, dw: Increments) -> Points:
        """D(t, x)·dw, ``[P, dim]``."""

    def diffusion(self, t: float, x: Points) -> Matrices:
        """Q = DDᵀ, ``[P, dim, dim]``; this default applies D to every basis increment, models with a formula state it."""
        basis = torch.eye(self.noise_dim, dtype=x.dtype, device=x.device)
        paths = x.shape[0]
        columns = self.diffuse(t, x.repeat_interleave(self.noise_dim, 0), basis.repeat(paths, 1))
        columns = columns.reshape(paths, self.noise_dim, self.dim)
        return columns.transpose(1, 2) @ columns

    def terms(self, t: float, x: Points, dw: Increments) -> tuple[Points, Points]:
        """(b, D·dw) at one point; models whose parts share work (an eigendecomposition) compute it once here."""
        return self.drift(t, x), self.diffuse(t, x, dw)

    def affine(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """(A, c, Q) in float64 where b = A x + c and Q is constant, else None."""
        return None

    def begin(self) -> None:
        """A block of paths begins: a model that remembers something between evaluations, as a start for the next, forgets it here."""
        return None

    def check(self, x: Points) -> None:
        """Refuse before a run what is known to fail in it, from start points ``x``. Raises DomainError or InputError."""
        return None

    def conventions(self) -> Conventions:
        """What the model presupposes."""
        return Conventions(eta=self.eta)


def as_sde(sde: Any) -> SDE:
    """The SDE as it is.

    Raises:
        InputError: it is none, or says not how wide it and its noise are.
    """
    found: SDE = expected(sde, SDE, "sde", "for example sg.sdes.HASME(noise, eta), or a subclass with dim, noise_dim, drift and diffuse")
    whole(found, "dim", 1)
    whole(found, "noise_dim", 0)
    return found


class ModifiedEquation(SDE):
    """An SDE model of SGD: built from the noise (with its objective) and the step size η.

    Raises:
        InputError: η ≤ 0, or the noise has no covariance (its variance is infinite).
    """

    #: D depends on the Hessian as well as on the noise's root; False for the models whose D is √η·R
    hessian_in_diffusion: bool = True

    def __init__(self, noise: Noise, eta: float) -> None:
        as_noise(noise)
        if isinstance(noise, HeavyTailedNoise):
            raise InputError(noise.refusal(f"The model {type(self).__name__}"))
        self.noise = noise
        self.objective = noise.objective
        self.eta: float = positive(eta, "eta")
        self.dim = noise.objective.dim
        self.noise_dim = noise.root_dim

    @classmethod
    def examples(cls) -> list[Self]:
        """The model of four SGDs: quadratics (non-commuting, indefinite; one dimension), a double well with constant noise and with noise of θ."""
        saddle = Gaussian(Quadratic([[1.0, 0.6], [0.6, -0.5]], [0.5, -1.0]), [[1.0, 0.2], [0.2, 0.5]])
        well = DoubleWell(2, transverse=1.5)
        return [
            cls(saddle, 0.4),
            cls(Gaussian(Quadratic(2.0), 0.7), 0.3),
            cls(Gaussian(well, [[0.5, 0.1], [0.1, 0.3]]), 0.05),
            cls(Gaussian(well, growing_covariance), 0.05),
        ]

    @property
    def width(self) -> int:
        return max(self.dim, self.noise_dim, self.objective.n)

    @property
    def constant(self) -> bool:
        """Whether Hessian and covariance are both constant, so that the SDE is linear."""
        return self.objective.facts.constant_hessian and (self.noise.constant_covariance or self.noise_dim == 0)

    @property
    def additive(self) -> bool:  # type: ignore[override]
        fixed = self.objective.facts.constant_hessian or not self.hessian_in_diffusion
        return self.noise_dim == 0 or (self.noise.constant_covariance and fixed)

    def affine(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """(A, c, Q), read off the drift at the origin and at the basis vectors."""
        if not self.constant:
            return None
        origin = torch.zeros(1, self.dim, dtype=torch.float64)
        c = self.drift(0.0, origin)[0]
        A = (self.drift(0.0, torch.eye(self.dim, dtype=torch.float64)) - c).T
        elsewhere = 1.3 * torch.cos(torch.arange(self.dim, dtype=torch.float64))[None]
        expected_drift, drift = elsewhere @ A.T + c, self.drift(0.0, elsewhere)
        if not torch.allclose(drift, expected_drift, rtol=1e-6, atol=1e-6 * float(expected_drift.abs().max()), equal_nan=True):
            raise InputError(
                f"{type(self.objective).__name__} states a constant Hessian (facts.constant_hessian), but the drift of {type(self).__name__} is not linear: "
                f"off by {float((drift - expected_drift).abs().max()):.3g} at {elsewhere[0, :4].tolist()}. Correct the objective's facts."
            )
        return A, c, self.diffusion(0.0, origin)[0]

    def conventions(self) -> Conventions:
        from dataclasses import replace

        return replace(self.noise.conventions(), eta=self.eta)
