"""What the claims along training read off: ends of spectra and the second moment's eigenspace by Lanczos, against dense solvers; exact to rounding."""

from __future__ import annotations

import pytest
import torch

from sgdsde.curvature import overlap
from sgdsde.data import digits
from sgdsde.measurements import hessian_training as measured
from sgdsde.measurements.hessian_network import Dense, perceptron, start


def test_ends_of_a_spectrum_are_those_of_the_dense_solver() -> None:
    network = perceptron(digits(count=60), (8, 6))
    point = Dense(network, start(network, 3)[0])
    values, vectors = torch.linalg.eigh(point.H)
    top, basis = measured.extremes(point.H, 5)
    assert torch.allclose(top, values[-5:], rtol=1e-9)
    assert overlap(basis, vectors[:, -5:]).value == pytest.approx(1, abs=1e-9)
    assert float(measured.extremes(-point.H, 1)[0]) == pytest.approx(-float(values[0]))


def test_numbers_against_dense_solvers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "TOP", 4)
    network = perceptron(digits(count=60), (8, 6))
    point = Dense(network, start(network, 3)[0])
    values, vectors = torch.linalg.eigh(point.H)
    found = measured.numbers(point, values, measured.extremes(point.H, 4)[1], 0, ends=True)
    moment = torch.linalg.eigh(point.M).eigenvectors[:, -4:]
    assert found["overlap"] == pytest.approx(overlap(vectors[:, -4:], moment).value, abs=1e-9)
    rest = torch.linalg.eigvalsh(point.H - point.G)
    assert found["−λmin/λmax, H−G"] == pytest.approx(float(-rest[0] / rest[-1]), rel=1e-8)
    assert found["−λmin/λmax"] == pytest.approx(float(-values[0] / values[-1]))
