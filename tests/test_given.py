"""What a caller gives is taken as it was when it was given, and no part of it is dropped or made up in silence."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.types import InputError

F, N, K, R = sg.objectives, sg.noises, sg.kernels, sg.regions
NOISE = N.Gaussian(F.Quadratic([2.0]), 1.0)
SGD = K.SGD(NOISE, 0.1)
LABELS = np.array([0, 1, 0, 1, 1, 0])
NETWORK = F.Network(torch.nn.Linear(2, 2).double(), "mse", np.ones((3, 2)), np.zeros((3, 2)))


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape)


def losses(f: sg.Objective) -> torch.Tensor:
    return f.sample_loss(torch.linspace(0.5, 1.5, f.dim, dtype=torch.float64)[None])


def distances(region: Any) -> torch.Tensor:
    return region.distances(torch.ones(1, region.dim, dtype=torch.float64))


KEPT: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...], Callable[[Any], torch.Tensor]]] = {
    "least squares": (F.LeastSquares, (numbers(6, 2), numbers(6)), losses),
    "logistic": (F.LogisticRegression, (numbers(6, 2), LABELS), losses),
    "diagonal net": (F.DiagonalNet, (numbers(6, 2), numbers(6)), losses),
    "two layers": (lambda x, y: F.TwoLayerLinear(x, y, 2), (numbers(6, 2), numbers(6)), losses),
    "tanh": (lambda x, y: F.ShallowTanh(x, y, hidden=2), (numbers(6, 2), LABELS), losses),
    "shared curvature": (lambda c: F.SharedCurvature(np.eye(2), c), (numbers(6, 2),), losses),
    "factorisation": (lambda t: F.MatrixFactorization(t, 1), (numbers(3, 3),), losses),
    "quadratic": (F.Quadratic, (np.eye(2), numbers(2)), losses),
    "Taylor": (lambda a: F.LocalQuadratic(F.DoubleWell(2), a), (numbers(2),), losses),
    "ball": (lambda c: R.Ball(c, 1.0), (numbers(2),), distances),
    "box": (lambda low: R.Box(low, [9.0, 9.0]), (numbers(2),), distances),
}


@pytest.mark.parametrize("form", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("name", KEPT)
def test_what_is_written_to_the_callers_arrays_afterwards_changes_nothing(name: str, form: Callable[[np.ndarray], Any]) -> None:
    make, given, look = KEPT[name]
    for i in range(len(given)):
        arrays = [form(array) for array in given]
        kept = make(*arrays)
        before = look(kept).clone()
        arrays[i][...] = 1 - arrays[i]
        assert torch.equal(look(kept), before)
        assert not torch.equal(look(make(*arrays)), before)  # what is compared does see another input


def test_the_data_under_minibatches_stay_those_of_the_known_gradient() -> None:
    x, y = numbers(6, 2), numbers(6)
    noise = N.Minibatch(F.LeastSquares(x, y), 2)
    x *= 3
    theta = torch.ones(1, 2, dtype=torch.float64)
    known, summed = sg.calculus.grad(noise.objective, theta), sg.calculus.sample_grads(noise.objective, theta).mean(1)
    torch.testing.assert_close(known, summed)


def test_a_sampler_of_another_number_of_points_is_refused() -> None:
    for sampler in (lambda paths, generator: torch.zeros(3, 1), lambda paths, generator: torch.zeros(min(paths, 2), 1)):
        with pytest.raises(InputError, match="wanted one each"):
            sg.simulate(SGD, sampler, horizon=0.1, paths=5, seed=1)


def test_a_survival_curve_says_nothing_beyond_the_watch() -> None:
    found = sg.exit_times(SGD, [0.0], region=R.Interval(-0.5, 0.5), horizon=1.0, paths=200, seed=1)
    curve = found.survival()
    assert bool(found.censored.any())
    assert curve.watched == found.horizon
    assert 0 < curve.at(found.horizon).value[0] < 1
    with pytest.raises(InputError, match="no path was watched beyond 1"):
        curve.at([0.5, 1.1])
    everyone = sg.exit_times(SGD, [0.0], region=R.Interval(-0.1, 0.1), horizon=50.0, paths=20, seed=1).survival()
    assert everyone.at(1e9).value[0] == 0.0


def test_a_law_has_its_own_skewness() -> None:
    with pytest.raises(TypeError):
        sg.oracles.GaussianLaw(skewness=3.0)
    assert (sg.oracles.GaussianLaw().skewness, sg.oracles.ExponentialLaw().skewness) == (0.0, 2.0)


WRONG: dict[str, Callable[[], Any]] = {
    "complex hessian": lambda: F.Quadratic(torch.eye(2) + 1j),
    "complex covariance": lambda: N.Gaussian(F.Quadratic([1.0, 1.0]), np.eye(2) + 1j),
    "complex data": lambda: F.LeastSquares(numbers(6, 2) + 1j, numbers(6)),
    "ragged data": lambda: F.LeastSquares([[1.0], [1.0, 2.0]], [0.0, 1.0]),
    "words as data": lambda: F.LogisticRegression([["a"]], [0]),
    "no data": lambda: F.SharedCurvature([1.0], None),
    "complex observable": lambda: sg.simulate(SGD, [0.0], horizon=0.1, seed=1, observe={"a": lambda theta: theta[:, 0] * 1j}),
    "stop is no function": lambda: sg.simulate(SGD, [0.0], horizon=0.1, seed=1, stop=3),
    "paths in words": lambda: sg.simulate(SGD, [0.0], horizon=0.1, seed=1, paths="many"),
    "dim in words": lambda: F.DoubleWell("two"),
    "dim NaN": lambda: F.StrictSaddle(math.nan),
    "batch infinite": lambda: N.Minibatch(F.LeastSquares(numbers(6, 2), numbers(6)), math.inf),
    "offsets": lambda: R.HalfSpace([1.0], [1.0, 2.0]),
    "end in words": lambda: R.Interval("a", 1.0),
    "tilt None": lambda: F.AsymmetricWell(None),
    "update in words": lambda: K.OptimizerSGD(NOISE, 0.1, update="momentum"),
    "schedule class": lambda: K.OptimizerSGD(NOISE, 0.1, schedule=K.Cosine),
    "momentum in words": lambda: K.HeavyBall("a"),
    "seed of a distance": lambda: sg.stats.sliced_wasserstein(numbers(9, 2), numbers(9, 2), seed=None),
    "no directions": lambda: sg.stats.sliced_wasserstein(numbers(9, 2), numbers(9, 2), directions=0),
    "columns": lambda: sg.stats.sliced_wasserstein(numbers(9), numbers(9, 2)),
    "columns of energy": lambda: sg.stats.energy_distance(numbers(9), numbers(9, 2)),
    "half an event": lambda: sg.stats.rate(1.5, 2.0),
    "Euler's substeps": lambda: sg.oracles.euler_inflation(0.5, -4),
    "beta": lambda: sg.oracles.momentum_variance_ratio(0.5, -1.0),
    "infinite growth": lambda: sg.oracles.saddle_steps(math.inf, 10.0),
    "divergence": lambda: sg.bounds.maurer(0.1, -1.0, 100, 0.05),
    "sigma": lambda: sg.bounds.divergence(sg.bounds.Shape("a", torch.ones(2)), 1.0, 1.0, -0.1),
    "negative curvature": lambda: sg.bounds.Shape("a", torch.tensor([1.0, -1.0])),
    "NaN gradients": lambda: sg.bounds.step_tails(torch.full((3, 2), math.nan), torch.eye(2), 0.1, batch_size=1),
    "negative steps": lambda: sg.bounds.step_tails(torch.ones(3, 2), torch.eye(2), -0.1, batch_size=1),
    "kernel None": lambda: sg.expected_exit(None, [0.0], R.Interval(-1.0, 1.0)),
    "NaN start": lambda: sg.expected_exit(SGD, [math.nan], R.Interval(-1.0, 1.0)),
    "time in words": lambda: sg.oracles.sde_moments(sg.sdes.SME1(NOISE, 0.1), [0.0], "long"),
    "tolerance 0": lambda: sg.oracles.sgd_mean_exit(NOISE, 0.1, [0.0], R.Interval(-1.0, 1.0), tolerance=0.0),
    "law in words": lambda: sg.oracles.sgd_mean_exit(NOISE, 0.1, [0.0], R.Interval(-1.0, 1.0), law="Gaussian"),
    "infinite tolerance": lambda: sg.oracles.sde_mean_exit(sg.sdes.SME1(NOISE, 0.1), [0.0], R.Interval(-1.0, 1.0), tolerance=math.inf),
    "coupled in words": lambda: sg.compare(NOISE, eta=0.1, models=["SME1"], theta0=[1.0], horizon=0.1, paths=50, seed=1, coupled="no"),
    "start in words": lambda: sg.compare(NOISE, eta=0.1, models=["SME1"], theta0="a", horizon=0.1, paths=50, seed=1),
    "two models of one name": lambda: sg.compare(
        NOISE, eta=0.1, models=[lambda n, eta: sg.sdes.SME1(n, eta), lambda n, eta: sg.sdes.SME2(n, eta)], theta0=[1.0], horizon=0.1, paths=50, seed=1
    ),
    "policy None": lambda: sg.sdes.HASME(NOISE, 0.1, log=None),
    "policy number": lambda: sg.sdes.HASME(NOISE, 0.1, psd=3),
    "method None": lambda: K.TorchSDE(sg.sdes.SME1(NOISE, 0.1), 0.1, None),
    "crooked matrix": lambda: sg.curvature.Matrix(torch.tensor([[1.0, 2.0], [0.0, 1.0]])),
    "NaN operator": lambda: sg.curvature.Kronecker(torch.full((1, 1), math.nan), torch.eye(2)),
    "block with a step": lambda: sg.curvature.Block(sg.curvature.Matrix(torch.eye(4)), slice(0, 4, 2)),
    "trace of None": lambda: sg.curvature.trace(None),
    "NaN weights": lambda: sg.curvature.weighted_diagonal(sg.curvature.Matrix(torch.eye(2)), torch.tensor([1.0, math.nan])),
    "NaN batch": lambda: sg.curvature.covariance_operator(NETWORK, NETWORK.flatten(), batch_size=math.nan),
    "NaN matrix": lambda: sg.oracles.discrete_lyapunov(torch.eye(1), torch.full((1, 1), math.nan), eta=0.1),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_meant_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"wanted|start from|symmetric|give labels|Known"):
        WRONG[name]()
