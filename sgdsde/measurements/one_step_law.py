"""The law of one tick of a linear SDE against the law of one step of SGD, by matrix exponentials.

SGD on a quadratic with constant noise: θ⁺ = (I − ηH)θ + N(0, η²Σ) (center 0). A linear SDE over a tick: e^{Aη}θ + ∫e^{As}c ds + N(0, V),
V = ∫₀^η e^{As}Qe^{Aᵀs}ds (Van Loan). Equal numbers here mean equal laws at every t = kη, because both are Gaussian Markov chains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from sgdsde.kernels.exact_ou import transition
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import RandomQuadratic, random_quadratic
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes import HASME, SME1, SME2, SPF
from sgdsde.sdes.positivity import defect

MODELS: dict[str, type[ModifiedEquation]] = {"SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME}
#: random quadratics behind each number
REPEATS = 5
_EPS = float(np.finfo(float).eps)


def one_step_law(*, seed: int, level: float, cases: Mapping[str, tuple[int, float, float]]) -> Measured:
    """For each case ``name: (dim, low, high)`` the worst error over random quadratics, by model: ``name/model``; ``positive``: draws with Q ≥ 0, of all.

    The error is max(‖e^{Aη} − M‖/‖M‖, ‖shift‖, ‖V − η²Σ‖/‖η²Σ‖) in Frobenius norms, M = I − ηH. Accuracy: rounding of the exponentials and of the
    eigenvectors, 64·dim·ε.
    """
    rng = np.random.default_rng(seed)
    estimates, positive = {}, []
    for name, (dim, low, high) in cases.items():
        problems = [random_quadratic(rng, dim, low=low, high=high, rank=2 * dim, white=0.5) for _ in range(REPEATS)]
        for label, model in MODELS.items():
            worst = max(_error(problem, model) for problem in problems)
            estimates[f"{name}/{label}"] = exactly(worst, 64 * dim * _EPS)
        positive += [not _indefinite(problem) for problem in problems]
    estimates["positive"] = exactly(float(np.mean(positive)), 0.0)
    return Measured(estimates, conventions="float64, Gaussian noise with constant covariance, eta = 0.1")


def _model(problem: RandomQuadratic, model: type[ModifiedEquation]) -> ModifiedEquation:
    return model(Gaussian(Quadratic(problem.hessian), problem.covariance), problem.eta)


def _error(problem: RandomQuadratic, model: type[ModifiedEquation]) -> float:
    affine = _model(problem, model).affine()
    assert affine is not None
    flow, shift, V = transition(*affine, problem.eta)
    M = torch.eye(flow.shape[0], dtype=torch.float64) - problem.eta * torch.from_numpy(problem.hessian)
    S = problem.eta**2 * torch.from_numpy(problem.covariance)
    return max(float((flow - M).norm() / M.norm()), float(shift.norm()), float((V - S).norm() / S.norm()))


def _indefinite(problem: RandomQuadratic) -> bool:
    point = torch.zeros(1, problem.hessian.shape[0], dtype=torch.float64)
    return float(defect(_model(problem, HASME).diffusion(0.0, point))) > 0
