"""Flows against gradient descent on quadratics, by matrix exponentials.

A linear flow dX = AX dt gives e^{Akη}, gradient descent (I − ηH)^k. Where ηλ > 1 the principal flow's exponent log(1 − ηλ) is complex; here it
comes from ``scipy.linalg.logm`` of a matrix with that eigenvalue, which knows nothing of the formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import torch

from sgdsde.kernels.exact_ou import transition
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.sdes import SME2, GradientFlow, PrincipalFlow
from sgdsde.types import Estimate

FLOWS: dict[str, Any] = {"PrincipalFlow": PrincipalFlow, "GradientFlow": GradientFlow, "SME2": SME2}
_EPS = float(np.finfo(float).eps)


def flows_on_quadratics(*, seed: int, level: float, cases: Mapping[str, tuple[int, int, float, float]]) -> Measured:
    """``name/flow``: ‖e^{Akη} − (I − ηH)^k‖/‖(I − ηH)^k‖ for each case ``name: (dim, k, low, high)`` of a random quadratic; SME-2's drift is the
    modified gradient flow.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (dim, k, low, high) in cases.items():
        problem = random_quadratic(rng, dim, low=low, high=high, rank=dim)
        noise = Gaussian(Quadratic(problem.hessian), problem.covariance)
        M = torch.eye(dim, dtype=torch.float64) - problem.eta * torch.from_numpy(problem.hessian)
        wanted = torch.linalg.matrix_power(M, k)
        for label, model in FLOWS.items():
            A, c, Q = model(noise, problem.eta).affine()
            flow, _, _ = transition(A, c, torch.zeros_like(Q), k * problem.eta)
            estimates[f"{name}/{label}"] = exactly(float((flow - wanted).norm() / wanted.norm()), 16 * (dim + k) * _EPS)
    return Measured(estimates, conventions="float64, no noise, eta = 0.1")


def complex_exponents(*, seed: int, level: float, xs: Sequence[float]) -> Measured:
    """``x/imaginary``: |Im log(1 − x)|/π, and ``x/growth``: Re log(1 − x), from the matrix logarithm of a matrix with that eigenvalue (in a random
    basis of a plane; the other eigenvalue is ½). ``x/gradient flow``: −x, the same for gradient flow.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for x in xs:
        angle = rng.uniform(0, np.pi)
        u, v = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        logarithm = scipy.linalg.logm((1 - x) * np.outer(u, u) + 0.5 * np.outer(v, v))
        exponent = complex(u @ logarithm @ u)
        estimates[f"{x}/imaginary"] = exactly(abs(exponent.imag) / np.pi, 1e-10)
        estimates[f"{x}/growth"] = exactly(exponent.real, 1e-10)
        estimates[f"{x}/gradient flow"] = exactly(-x, 0.0)
    return Measured(estimates, conventions="one eigendirection, per step of size eta")
