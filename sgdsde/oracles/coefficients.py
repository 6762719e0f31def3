"""Drift and diffusion of SGD and of an SDE on NumPy points, as the weak-error oracles read them; test functions likewise.

SGD as a chain: x⁺ = x + ηb + √(ηQ)·ζ with b = −g, Q = ηΣ. An SDE: dX = b dt + √Q dW. The oracles want autonomous models, evaluated
pointwise: NaN marks where a model does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import SDE
from sgdsde.types import DomainError, InputError, OracleRefusal

Array = np.ndarray
#: points [P, dim] → (b [P, dim], Q [P, dim, dim])
Field = Callable[[Array], tuple[Array, Array]]
Functions = Mapping[str, Callable[[Tensor], Tensor]]


def sgd_field(noise: Noise, eta: float) -> Field:
    """b = −g and Q = ηΣ, so that one step of SGD has mean x + ηb and covariance ηQ."""

    def field(x: Float[Array, "P dim"]) -> tuple[Array, Array]:
        theta = torch.from_numpy(np.ascontiguousarray(x))
        return -grad(noise.objective, theta).numpy(), eta * noise.covariance(theta).numpy()

    return field


def sde_field(sde: SDE, horizon: float) -> Field:
    """(b, Q) of the model.

    Raises:
        OracleRefusal: the model depends on time, or raises (instead of returning NaN) where it does not exist.
    """

    def field(x: Float[Array, "P dim"]) -> tuple[Array, Array]:
        theta = torch.from_numpy(np.ascontiguousarray(x))
        try:
            b, Q = sde.drift(0.0, theta), sde.diffusion(0.0, theta)
            probe = theta[:: max(1, len(theta) // 8)]
            later = sde.drift(horizon, probe), sde.diffusion(horizon, probe)
            now = sde.drift(0.0, probe), sde.diffusion(0.0, probe)
        except DomainError as error:
            raise OracleRefusal(
                f"{type(sde).__name__} does not exist on the whole domain, and its policy raises: {error} "
                "With the policy 'stop' the oracle sees where, and answers if the law stays clear of it."
            ) from error
        if not all(torch.allclose(a, c, rtol=1e-12, atol=1e-14, equal_nan=True) for a, c in zip(now, later, strict=True)):
            raise OracleRefusal(f"{type(sde).__name__} depends on time; the weak-error oracle propagates autonomous models only.")
        return b.numpy(), Q.numpy()

    return field


def everywhere(field: Field, points: Float[Array, "P dim"], what: str) -> tuple[Float[Array, "P dim"], Float[Array, "P dim dim"]]:
    """(b, Q) at points of the torus.

    Raises:
        OracleRefusal: not finite somewhere, or Q indefinite somewhere.
    """
    b, Q = field(points)
    missing = ~(np.isfinite(b).all(1) & np.isfinite(Q).all((1, 2)))
    if missing.any():
        raise OracleRefusal(
            f"{what} does not exist at {missing.mean():.0%} of the torus, for example near {np.round(points[missing][0], 3).tolist()} (it returned NaN). "
            "Use a smaller eta or a model that exists everywhere."
        )
    lowest = np.linalg.eigvalsh(Q)[:, 0]
    if (worst := float(lowest.min())) < -1e-13 * max(float(np.abs(Q).max()), np.finfo(float).tiny):
        raise OracleRefusal(
            f"{what} has an indefinite diffusion matrix at {(lowest < 0).mean():.0%} of the torus (lowest eigenvalue {worst:.2g}): there is no such SDE. "
            "Use sg.sdes.HASMEProduct (positive by construction) or psd='project'."
        )
    return b, Q


def sample(functions: Functions, x: Float[Array, "P dim"]) -> Float[Array, "functions P"]:
    """Every test function at every point.

    Raises:
        InputError: there is none, or one of them returns another shape, NaN or infinity.
    """
    if not functions:
        raise InputError("functions is empty; give at least one test function, for example {'mean': lambda x: x[:, 0]}.")
    theta = torch.from_numpy(np.ascontiguousarray(x))
    rows = []
    for name, function in functions.items():
        value = function(theta)
        if tuple(value.shape) != (len(x),):
            raise InputError(f"The test function {name!r} returned shape {tuple(value.shape)} for points {tuple(x.shape)}; wanted [{len(x)}].")
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"The test function {name!r} is not finite on the domain of the law; give a function that is.")
        rows.append(value.detach().to(torch.float64).numpy())
    return np.stack(rows)
