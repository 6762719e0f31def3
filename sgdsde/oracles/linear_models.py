"""What is linear about a model: the gradient of a quadratic with its noise covariance, the drift of a linear SDE with its diffusion.

Both are read off the model's own functions at the origin and the basis vectors, then compared with them at other points. Whether they may be
linear at all is decided by declarations (``facts.constant_hessian``, ``sde.affine()``), never by sampling alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.objective import Objective
from sgdsde.oracles.quadratic_form import Field, QuadraticForm, probe_points, quadratic_form
from sgdsde.sde import SDE, ModifiedEquation
from sgdsde.sdes.positivity import defect
from sgdsde.types import OracleRefusal


class LinearTerms(NamedTuple):
    """A linear SDE: drift matrix·x + shift, diffusion matrix Q(x)."""

    matrix: Float[Tensor, "dim dim"]
    shift: Float[Tensor, " dim"]
    diffusion: QuadraticForm


def gradient_terms(objective: Objective) -> tuple[Float[Tensor, "dim dim"], Float[Tensor, " dim"]]:
    """H and g(0) of a gradient g(θ) = Hθ + g(0).

    Raises:
        OracleRefusal: the Hessian is not declared constant, or is not constant although declared so.
    """
    if not objective.facts.constant_hessian:
        raise OracleRefusal(
            f"{type(objective).__name__} has no constant Hessian (facts.constant_hessian is False), so the moments of SGD do not close. "
            "Use simulation, or sg.oracles.weak_error in one and two dimensions."
        )
    H, g0 = _affine(lambda theta: grad(objective, theta), objective.dim, f"The gradient of {type(objective).__name__}")
    return (H + H.T) / 2, g0


def noise_covariance(noise: Noise) -> QuadraticForm:
    """Σ(θ) of a noise: constant where it says so or where it is found to be, else a quadratic.

    Raises:
        OracleRefusal: Σ is no polynomial of degree ≤ 2.
    """
    dim = noise.objective.dim
    if noise.constant_covariance:
        return QuadraticForm(noise.covariance(torch.zeros(1, dim, dtype=torch.float64))[0].clone())
    return quadratic_form(noise.covariance, dim, name=f"The covariance of {type(noise).__name__}")


def sde_terms(sde: SDE) -> LinearTerms:
    """b(x) = Ax + c and Q(x).

    Raises:
        OracleRefusal: the drift is not linear, Q is no quadratic, or Q is indefinite somewhere (there is no such SDE there).
        DomainError: Q is constant and indefinite.
    """
    origin = torch.zeros(1, sde.dim, dtype=torch.float64)
    affine = sde.affine()
    if affine is not None:
        sde.check(origin)
        A, c, Q = affine
        return LinearTerms(A, c, QuadraticForm(Q))
    name = type(sde).__name__
    if not isinstance(sde, ModifiedEquation):
        raise OracleRefusal(f"{name}.affine() is None: the SDE is not known to be linear. Implement affine() if it is; else use simulation.")
    if not sde.objective.facts.constant_hessian:
        raise OracleRefusal(f"{name}: {type(sde.objective).__name__} has no constant Hessian, so the drift is not linear and the moments do not close.")
    A, c = _affine(lambda x: sde.drift(0.0, x), sde.dim, f"The drift of {name}")
    diffusion = quadratic_form(lambda x: sde.diffusion(0.0, x), sde.dim, name=f"The diffusion of {name}")
    worst = float(defect(sde.diffusion(0.0, probe_points(sde.dim))).max())
    if worst > 0:
        raise OracleRefusal(
            f"The diffusion of {name} is indefinite at some points (negative mass / positive mass = {worst:.3g}): no SDE has these moments. "
            "Use sg.sdes.HASMEProduct, positive by construction."
        )
    return LinearTerms(A, c, diffusion)


def _affine(field: Field, dim: int, name: str) -> tuple[Tensor, Tensor]:
    """(matrix, shift) of a vector field, checked at the probe points."""
    origin = torch.zeros(1, dim, dtype=torch.float64)
    shift = field(origin)[0]
    matrix = (field(torch.eye(dim, dtype=torch.float64)) - shift).T
    probes = probe_points(dim)
    seen = field(probes)
    error = float((probes @ matrix.T + shift - seen).abs().max())
    scale = float(seen.abs().max())
    if not error <= 1e-9 * scale:
        raise OracleRefusal(
            f"{name} is not linear although the Hessian is declared constant (misfit {error:.2g} of {scale:.2g}). Correct the objective's facts."
        )
    return matrix, shift
