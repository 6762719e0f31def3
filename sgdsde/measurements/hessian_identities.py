"""Three exact facts about Hessians of classifiers, from dense matrices at drawn networks.

H = M − H_p for log losses; diagonal layer blocks of H and G are equal in piecewise-linear networks, so tr H = tr G; rank G ≤ n(c−1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sgdsde.curvature import h_p_operator, layer_blocks
from sgdsde.data import digits
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_network import Dense, perceptron, start
from sgdsde.training import SGD, train
from sgdsde.types import Estimate

#: relative size below which a singular value counts as zero
RANK_TOLERANCE = 1e-12


def hessian_identities(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]]) -> Measured:
    """For each problem (``samples``, ``components``, ``hidden``, ``activation``, ``steps``, ``start``): ``name/log loss``: ‖H − (M − H_p)‖/‖H‖, ``name/without
    H_p``: ‖H − M‖/‖H‖, ``name/blocks``: the largest ‖H_ll − G_ll‖/‖G_ll‖, ``name/traces``: |tr H/tr G − 1|, ``name/rank G``, ``name/rank H``.
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for name, problem in problems.items():
        data = digits(components=problem["components"]).take(problem["samples"])
        network = perceptron(data, problem["hidden"], activation=problem["activation"])
        theta = start(network, problem["start"])
        if problem["steps"]:
            theta = train(network, theta, optimiser=SGD(0.1), batch_size=min(16, network.n), steps=problem["steps"], seed=problem["start"]).final
        point = Dense(network, theta[0])
        H, G, M = point.H, point.G, point.M
        found = {
            "log loss": relative(H, M - h_p_operator(network, theta[0]).dense()),
            "without H_p": relative(H, M),
            "blocks": max(relative(G[block, block], H[block, block]) for block in layer_blocks(network).values()),
            "traces": abs(float(H.trace() / G.trace()) - 1),
            "rank G": float(rank(G)),
            "rank H": float(rank(H)),
        }
        estimates |= {f"{name}/{key}": exactly(value, 0.0) for key, value in found.items()}
        notes.append(f"{name}: {network.dim} parameters, loss {point.loss:.3g}, rank tolerance {RANK_TOLERANCE:g} of the largest")
    return Measured(estimates, notes=tuple(notes), conventions="digits on principal components, cross-entropy, mean loss, float64, dense matrices")


def relative(a: Tensor, b: Tensor) -> float:
    """‖a − b‖/‖a‖ in Frobenius' norm."""
    return float((a - b).norm() / a.norm())


def rank(matrix: Tensor) -> int:
    """Eigenvalues above RANK_TOLERANCE of the largest."""
    size = torch.linalg.eigvalsh(matrix).abs()
    return int((size > RANK_TOLERANCE * size.max()).sum())
