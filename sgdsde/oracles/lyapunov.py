"""Lyapunov equations with their residuals checked, and refusals where no stationary law exists.

Discrete V = FVFᵀ + C needs |eigenvalues of F| < 1; continuous AV + VAᵀ + Q = 0 needs real parts < 0. The discrete one of SGD on a quadratic with
constant noise is AV + VA − ηAVA = ηC (F = I − ηA; Liu, Ziyin, Ueda, arXiv 2012.03636, equation for plain SGD).
"""

from __future__ import annotations

import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import own
from sgdsde.types import InputError, OracleRefusal, positive

_RESIDUAL = 1e-9
_MARGIN = 1e-12


def stationary_of_map(F: Float[Tensor, "dim dim"], C: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """V = FVFᵀ + C.

    Raises:
        OracleRefusal: F has an eigenvalue of modulus ≥ 1 (its value is told), or the residual is not small.
    """
    refuse_unstable_map(F)
    V = torch.from_numpy(scipy.linalg.solve_discrete_lyapunov(F.numpy(), C.numpy()))
    V = V + torch.from_numpy(scipy.linalg.solve_discrete_lyapunov(F.numpy(), (F @ V @ F.T + C - V).numpy()))  # one refinement
    return _checked(V, F @ V @ F.T + C - V, C)


def stationary_of_flow(A: Float[Tensor, "dim dim"], Q: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """AV + VAᵀ + Q = 0.

    Raises:
        OracleRefusal: A has an eigenvalue with real part ≥ 0 (its value is told), or the residual is not small.
    """
    refuse_unstable_flow(A)
    V = torch.from_numpy(scipy.linalg.solve_continuous_lyapunov(A.numpy(), -Q.numpy()))
    return _checked(V, A @ V + V @ A.T + Q, Q)


def discrete_lyapunov(A: Tensor, C: Tensor, *, eta: float) -> Float[Tensor, "dim dim"]:
    """V with AV + VAᵀ − ηAVAᵀ = ηC: the stationary covariance of θ⁺ = θ − η(Aθ + ξ), Cov ξ = C.

    Raises:
        InputError: shapes that do not fit, η ≤ 0.
        OracleRefusal: I − ηA is not stable.

    Example:
        >>> A, C = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
        >>> round(sg.oracles.discrete_lyapunov(A, C, eta=0.5).item(), 9)  # η/(2 − η)
        0.333333333
    """
    A, C = own(A, "A").to(torch.float64), own(C, "C").to(torch.float64)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape != C.shape:
        raise InputError(f"A has shape {tuple(A.shape)}, C {tuple(C.shape)}; wanted the same square matrix shape.")
    if not bool(torch.isfinite(A).all() and torch.isfinite(C).all()):
        raise InputError("A or C holds NaN or infinity; wanted finite matrices.")
    eta = positive(eta, "eta")
    return stationary_of_map(torch.eye(A.shape[0], dtype=torch.float64) - eta * A, eta**2 * C)


def refuse_unstable_map(F: Float[Tensor, "dim dim"]) -> None:
    """Refuse unless all |eigenvalues| of one step are below 1."""
    values = torch.linalg.eigvals(F)
    worst = values[values.abs().argmax()]
    if not float(worst.abs()) < 1 - _MARGIN:
        raise OracleRefusal(f"No stationary law: one step multiplies a direction by {_number(worst)}, and it must be below 1 in modulus.")


def refuse_unstable_flow(A: Float[Tensor, "dim dim"]) -> None:
    """Refuse unless all eigenvalues of the drift have negative real parts."""
    values = torch.linalg.eigvals(A)
    worst = values[values.real.argmax()]
    if not float(worst.real) < -_MARGIN * float(values.abs().max()):
        raise OracleRefusal(f"No stationary law: the drift has the eigenvalue {_number(worst)}, and its real part must be below 0.")


def _number(value: Tensor) -> str:
    complex_value = complex(value)
    return f"{complex_value.real:.6g}" if abs(complex_value.imag) < 1e-12 * abs(complex_value) else f"{complex_value:.6g}"


def _checked(V: Tensor, residual: Tensor, source: Tensor) -> Tensor:
    size, scale = float(residual.abs().max()), float(source.abs().max())
    if not size <= _RESIDUAL * max(scale, 1e-300):
        raise OracleRefusal(f"The Lyapunov equation is too ill-conditioned here (residual {size:.2g} against {scale:.2g}): an eigenvalue is too near the edge.")
    return (V + V.T) / 2
