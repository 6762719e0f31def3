"""Relaxation rates by Fourier matrices, against closed forms, a Schrödinger operator by finite differences, and expectations on the line."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from exact_torus import Trigonometric, gaussian_damping

import sgdsde as sg
from sgdsde.oracles import TwoPointLaw, sde_relaxation, sgd_relaxation
from sgdsde.oracles.coefficients import sgd_field
from sgdsde.oracles.fourier import FourierGrid
from sgdsde.types import InputError, OracleRefusal

T = 0.4
SHAPE = np.array([[1.0, 0.3], [0.3, 0.6]])
CIRCLE = sg.objectives.PeriodicWell(amplitude=-1.0)
TWO_WELLS = Trigonometric([[2]], [0.5], [0.0])


def hot(objective: sg.Objective, eta: float, shape: np.ndarray | float = 1.0) -> sg.noises.Gaussian:
    """Σ = (2T/η)C."""
    return sg.noises.Gaussian(objective, 2 * T / eta * np.asarray(shape))


def test_free_diffusion() -> None:
    """f = 0: the slowest mode e^{ik·x} decays at ½η·min kᵀΣk, SGD's and SME-1's alike, in one and two dimensions, to 1e-11."""
    flat, plane = Trigonometric([[1]], [0.0], [0.0]), Trigonometric([[1, 1]], [0.0], [0.0])
    for objective, shape, least in ((flat, 1.0, 1.0), (plane, SHAPE, 0.6)):
        noise = hot(objective, 0.1, shape)
        assert sgd_relaxation(noise, 0.1).rate == pytest.approx(T * least, rel=1e-11)
        assert sde_relaxation(sg.sdes.SME1(noise, 0.1)).rate == pytest.approx(T * least, rel=1e-11)


def test_gradient_diffusion_against_its_schroedinger_operator() -> None:
    """dX = −f′dt + √(2T)dW has the spectrum of −T∂² + f′²/(4T) − f″/2: finite differences, extrapolated, agree to 1e-6; at T/2 they do not (mutant)."""

    def by_differences(n: int, temperature: float) -> float:
        x = 2 * np.pi * np.arange(n) / n
        h = 2 * np.pi / n
        theta = torch.as_tensor(x)[:, None]
        g, H = sg.calculus.grad(TWO_WELLS, theta).numpy()[:, 0], sg.calculus.hessian(TWO_WELLS, theta).numpy()[:, 0, 0]
        ring = np.roll(np.eye(n), 1, 0) + np.roll(np.eye(n), -1, 0) - 2 * np.eye(n)
        values = scipy.linalg.eigvalsh(-temperature / h**2 * ring + np.diag(g**2 / (4 * temperature) - H / 2), subset_by_index=(0, 1))
        return float(values[1] - values[0])

    coarse, fine = by_differences(200, T), by_differences(400, T)
    found = sde_relaxation(sg.sdes.SME1(hot(TWO_WELLS, 0.1), 0.1)).rate
    assert found == pytest.approx(fine + (fine - coarse) / 3, rel=1e-6)
    assert abs(found / by_differences(400, T / 2) - 1) > 0.5


@pytest.mark.parametrize("law", [None, TwoPointLaw(0.5)])
def test_sgd_relaxes_at_that_rate(law: TwoPointLaw | None) -> None:
    """E sin θ_k over two wells, propagated on the line, falls by e^{−rate·t} from t = 12 to 16: to 1e-4 (the next mode is ten times faster)."""
    eta = 0.1
    noise = hot(TWO_WELLS, eta)
    functions = {"sin": lambda x: torch.sin(x[:, 0])}
    ends = [sg.oracles.sgd_expectations(noise, eta=eta, theta0=np.pi / 2, horizon=t, functions=functions, law=law, tolerance=1e-7) for t in (12.0, 16.0)]
    rate = -np.log(float(ends[1].value[0, 0] / ends[0].value[0, 0])) / 4
    assert sgd_relaxation(noise, eta, law=law).rate == pytest.approx(rate, rel=1e-4)


def test_transfer_matrix_in_two_dimensions() -> None:
    """One step of SGD on the torus applied to smooth functions, against Gauss–Hermite quadrature at the landing points, to 1e-12."""
    well, eta = sg.objectives.PeriodicWell(2, amplitude=-0.5, coupling=-0.2), 0.1
    noise, grid = hot(well, eta, SHAPE), FourierGrid(21, 2)

    def u(x: np.ndarray) -> np.ndarray:
        return np.sin(x[..., 0] - x[..., 1]) + np.cos(2 * x[..., 1])

    z, w = np.polynomial.hermite_e.hermegauss(24)
    w = w / w.sum()
    root = scipy.linalg.sqrtm(2 * T * eta * SHAPE).real
    nodes = np.stack(np.meshgrid(z, z, indexing="ij"), -1).reshape(-1, 2) @ root
    landing = grid.points - eta * sg.calculus.grad(well, torch.as_tensor(grid.points)).numpy()
    wanted = u(landing[:, None] + nodes) @ np.outer(w, w).ravel()
    found = grid.transfer(sgd_field(noise, eta), eta) @ u(grid.points)
    assert np.abs(found - wanted).max() < 1e-12


def test_regression_numbers() -> None:
    """f = −cos x, T = .4, η = .05: relative errors of the rates."""
    noise = hot(CIRCLE, 0.05)
    sgd = sgd_relaxation(noise, 0.05).rate
    wanted = {"SME1": 1.077e-2, "SME2": -1.450e-4, "SPF": 8.230e-5, "HASME": -9.182e-3, "SME3": -3.788e-4, "HASME3": 1.464e-4}
    for name, error in wanted.items():
        assert sde_relaxation(getattr(sg.sdes, name)(noise, 0.05)).rate / sgd - 1 == pytest.approx(error, rel=1e-3)


def test_a_step_is_a_splitting() -> None:
    """P = Φ·N: the drift's map, then the noise's semigroup (diagonal in Fourier). So P is similar to the symmetric N^½ΦN^½, whose rates are SPF's to O(η²)."""
    eta, grid = 0.1, FourierGrid(55, 1)
    noise = hot(CIRCLE, eta)
    P = grid.transfer(sgd_field(noise, eta), eta)
    drift = grid.reading(grid.points - eta * sg.calculus.grad(CIRCLE, torch.as_tensor(grid.points)).numpy())

    def spread(share: float) -> np.ndarray:
        return grid.reading(grid.points, gaussian_damping(np.sqrt(2 * T * eta * share) * grid.modes[:, 0]))

    assert np.abs(P - drift @ spread(1.0)).max() < 1e-12
    values, wanted = (np.sort(scipy.linalg.eigvals(matrix).real)[-4:] for matrix in (P, spread(0.5) @ drift @ spread(0.5)))
    assert np.abs(values - wanted).max() < 1e-12
    assert np.abs(P - spread(0.5) @ drift @ spread(0.5)).max() > 1e-3  # similar, not equal: half a step of noise apart


@pytest.mark.parametrize(("share", "order"), [(0.5, 2), (0.0, 1), (1.0, 1)])
def test_half_a_step_of_noise_between_the_stationary_laws(share: float, order: int) -> None:
    """E cos x under SPF's stationary law and ``share`` of a step's noise more, against SGD's: order 2 with a half, 1 with none or a whole (mutants)."""
    grid = FourierGrid(81, 1)
    errors = []
    for eta in (0.05, 0.025):
        noise = hot(CIRCLE, eta)
        sgd = stationary(grid.transfer(sgd_field(noise, eta), eta) - np.eye(grid.n))
        sde = sg.sdes.SPF(noise, eta)
        spf = stationary(
            grid.generator(lambda x, sde=sde: tuple(part.numpy() for part in (sde.drift(0.0, torch.as_tensor(x)), sde.diffusion(0.0, torch.as_tensor(x)))))
        )
        cosine = np.cos(grid.points[:, 0])
        errors.append(float(spf @ cosine) * np.exp(-T * eta * share) - float(sgd @ cosine))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def stationary(matrix: np.ndarray) -> np.ndarray:
    """The left null vector, as a probability."""
    density = np.linalg.svd(matrix.T)[2][-1]
    return density / density.sum()


def test_refusals() -> None:
    """What is not periodic, has too many dimensions, does not exist, or is too fine for the grid is refused; nothing is answered."""
    with pytest.raises(OracleRefusal, match="not 2π-periodic"):
        sgd_relaxation(hot(sg.objectives.DoubleWell(), 0.1), 0.1)
    with pytest.raises(OracleRefusal, match="Dimension 3"):
        sde_relaxation(sg.sdes.SME1(hot(sg.objectives.PeriodicWell(3), 0.1, np.eye(3)), 0.1))
    steep = sg.noises.Gaussian(sg.objectives.PeriodicWell(amplitude=-12.0), 1.0)
    with pytest.raises(OracleRefusal, match="does not exist at"):
        sde_relaxation(sg.sdes.HASME(steep, 0.1))
    with pytest.raises(OracleRefusal, match=r"differ by a fraction|not told from"):
        sde_relaxation(sg.sdes.SME1(sg.noises.Gaussian(TWO_WELLS, 0.02), 0.1))
    samples = sg.noises.Minibatch(sg.objectives.LeastSquares.examples()[0], 1)
    with pytest.raises(InputError, match="law of its own"):
        sgd_relaxation(samples, 0.1)
