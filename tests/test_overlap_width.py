"""Overlap against k: curves of known subspaces, eigenvectors from Gram matrices against dense blocks, the peak where its explanation's premise holds.

Exact up to rounding; the random subspaces have fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sgdsde.curvature import kronecker_decoupling, overlap
from sgdsde.data import digits
from sgdsde.measurements import hessian_overlap as measured
from sgdsde.measurements.hessian_network import perceptron, start
from sgdsde.types import InputError


def test_top_eigenvectors_are_those_of_the_dense_block() -> None:
    network = perceptron(digits(count=40), (6, 5))
    theta = start(network, 2)[0]
    ours = measured.top_eigenvectors(network, theta, "0", 6)
    values, vectors = torch.linalg.eigh(kronecker_decoupling(network, theta, "0").block)
    dense = vectors.flip(1)[:, :6]
    assert overlap(ours, dense).value == pytest.approx(1, abs=1e-9)
    assert torch.allclose((ours[:, :3] * dense[:, :3]).sum(0).abs(), torch.ones(3).double(), atol=1e-6)  # in the same order
    assert torch.allclose(ours.T @ ours, torch.eye(6).double(), atol=1e-10)
    assert float(values[-1]) > 0
    with pytest.raises(InputError, match="rank below 12"):
        measured.top_eigenvectors(network, theta, "0", 12)


def test_curves_of_known_subspaces() -> None:
    """The second and third vectors shared, the first not: 0, ½, ⅔; the whole space: 1."""
    eye = torch.eye(4).double()
    U, V = eye[:, [0, 1, 2, 3]], eye[:, [3, 1, 2, 0]]
    assert np.allclose(measured.overlap_curve(U, V), [0, 0.5, 2 / 3, 1])
    for k in (1, 2, 3):
        if k > 1:
            assert measured.overlap_curve(U, V)[k - 1] == pytest.approx(overlap(U[:, :k], V[:, :k]).value)


def model(size: int, m: int, room: float, seed: int) -> Tensor:
    """Top eigenvectors of E[M] ⊗ E[xxᵀ] for a random E[M] of width m and one E[xxᵀ] with λ₁/λ₂ = 1; E[M]'s eigenvalues fall by 1/room."""
    g = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(m, m, generator=g, dtype=torch.float64))[0]
    left = torch.linspace(1, room, m).double()
    right = torch.tensor([1.0] + [0.5] * (size - 1), dtype=torch.float64)
    shared = torch.eye(size).double()  # one set of inputs for all networks
    order = torch.outer(left, right).flatten().argsort(descending=True)[: 2 * m]
    return torch.stack([torch.kron(basis[:, int(k) // size], shared[:, int(k) % size]) for k in order], 1)


def test_the_peak_is_there_where_the_explanation_holds_and_gone_where_it_does_not() -> None:
    """E[M] between 1 and .8 with λ₂ = λ₁/2: room 1.6, overlap 1 at k = m; between 1 and .01: room .02, no peak."""
    m, size = 8, 12
    conditioned = measured.read(measured.overlap_curve(model(size, m, 0.8, 1), model(size, m, 0.8, 2)), m, m * size)
    assert conditioned["width"] == pytest.approx(1)
    assert conditioned["rise"] > 1.3
    assert conditioned["fall"] > 1.3
    lost = measured.read(measured.overlap_curve(model(size, m, 0.01, 1), model(size, m, 0.01, 2)), m, m * size)
    assert lost["width"] < 0.6


def test_a_random_subspace_only_rises() -> None:
    U, V = (torch.linalg.qr(torch.randn(400, 40, generator=torch.Generator().manual_seed(s), dtype=torch.float64))[0] for s in (1, 2))
    found = measured.read(measured.overlap_curve(U, V), 20, 400)
    assert found["fall"] < 0.7
    assert found["double"] == pytest.approx(40 / 400, rel=0.3)
