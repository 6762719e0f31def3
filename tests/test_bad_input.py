"""What cannot be right is refused before any work starts, in words that say what came, what was wanted and what to do."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import ledger
from sgdsde.kernel import Kernel, State
from sgdsde.types import DomainError, InputError, SgdsdeError

QUADRATIC = sg.objectives.Quadratic([[2.0, 0.5], [0.5, 1.0]])
NOISE = sg.noises.Gaussian(QUADRATIC, 0.5)
SGD = sg.kernels.SGD(NOISE, 0.1)
SME1 = sg.sdes.SME1(NOISE, 0.1)
SAMPLES = sg.objectives.LeastSquares.examples()[0]  # 12 samples, 3 parameters
X, LABELS = np.ones((4, 2)), np.array([0, 1, 1, 0])
NAN = float("nan")


def run(**changed: Any) -> Callable[[], Any]:
    recipe: dict[str, Any] = {"kernel": SGD, "theta0": [1.0, 1.0], "horizon": 1.0, "paths": 3, "seed": 0}
    recipe.update(changed)
    return lambda: sg.simulate(recipe.pop("kernel"), recipe.pop("theta0"), **recipe)


def skewed(theta: Tensor) -> Tensor:
    return torch.eye(2, dtype=theta.dtype).expand(theta.shape[0], 2, 2) * torch.tensor([1.0, -1.0], dtype=theta.dtype)


def flat(theta: Tensor) -> Tensor:
    return theta


def compare(**changed: Any) -> Callable[[], Any]:
    recipe: dict[str, Any] = {"eta": 0.1, "models": ["SME1"], "theta0": [1.0, 1.0], "horizon": 0.5, "paths": 10, "seed": 0}
    return lambda: sg.compare(NOISE, **(recipe | changed))


def network(*layers: nn.Module) -> Callable[[], Any]:
    module = nn.Sequential(nn.Linear(2, 4), *layers, nn.Linear(4, 2))
    return lambda: sg.objectives.Network(module, "cross_entropy", torch.randn(4, 2), torch.tensor([0, 1, 1, 0]))


CASES: dict[str, tuple[Callable[[], Any], type[SgdsdeError], str]] = {
    # objectives
    "Hessian not symmetric": (lambda: sg.objectives.Quadratic([[1.0, 0.3], [0.2, 1.0]]), InputError, "not symmetric; pass (H + Hᵀ)/2"),
    "Hessian with NaN": (lambda: sg.objectives.Quadratic([[1.0, NAN], [NAN, 1.0]]), InputError, "hessian holds NaN"),
    "Hessian not square": (lambda: sg.objectives.Quadratic(np.ones((2, 3))), InputError, "hessian has shape (2, 3); wanted a square matrix"),
    "empty Hessian": (lambda: sg.objectives.Quadratic(np.ones((0, 0))), InputError, "wanted a square matrix"),
    "center of another dimension": (lambda: sg.objectives.Quadratic(1.0, [0.0, 0.0]), InputError, "center has shape (2,); wanted [1]"),
    "empty data": (lambda: sg.objectives.LeastSquares(np.ones((0, 2)), np.ones(0)), InputError, "empty data"),
    "labels outside the classes": (lambda: sg.objectives.LogisticRegression(X, LABELS + 2, classes=2), InputError, "labels outside the classes"),
    "negative labels": (lambda: sg.objectives.LogisticRegression(X, LABELS - 1), InputError, "they run from -1 to 0"),
    "data with NaN": (lambda: sg.objectives.LogisticRegression(X * NAN, LABELS), InputError, "x holds NaN"),
    "dropout in training mode": (network(nn.Dropout(0.5)), InputError, "dropout p = 0.5 in training mode"),
    "BatchNorm in training mode": (network(nn.BatchNorm1d(4)), InputError, "BatchNorm"),
    # noises
    "covariance indefinite": (lambda: sg.noises.Gaussian(QUADRATIC, [[1.0, 2.0], [2.0, 1.0]]), InputError, "indefinite (lowest eigenvalue -1)"),
    "covariance not symmetric": (lambda: sg.noises.Gaussian(QUADRATIC, [[1.0, 0.2], [0.1, 1.0]]), InputError, "covariance is not symmetric"),
    "covariance of another shape": (lambda: sg.noises.Gaussian(QUADRATIC, np.eye(3)), InputError, "covariance has shape (3, 3); wanted (2, 2)"),
    "covariance with NaN": (lambda: sg.noises.Gaussian(QUADRATIC, [[NAN, 0.0], [0.0, 1.0]]), InputError, "covariance holds NaN"),
    "covariance function indefinite": (run(kernel=sg.kernels.SGD(sg.noises.Gaussian(QUADRATIC, skewed), 0.1)), InputError, "covariance function is indefinite"),
    "covariance function of another shape": (
        run(kernel=sg.kernels.SGD(sg.noises.Gaussian(QUADRATIC, flat), 0.1)),
        InputError,
        "covariance function returned shape (1, 2); wanted (1, 2, 2)",
    ),
    "covariance function of an SDE": (
        run(kernel=sg.kernels.Heun(sg.sdes.SME1(sg.noises.Gaussian(QUADRATIC, flat), 0.1), 0.1)),
        InputError,
        "covariance function returned shape",
    ),
    "batch larger than the data": (lambda: sg.noises.MinibatchWithoutReplacement(SAMPLES, 13), InputError, "batch_size = 13 exceeds n = 12"),
    "batch larger than the data, shuffled": (lambda: sg.kernels.ShuffledSGD(SAMPLES, 13, 0.1), InputError, "batch_size = 13 exceeds n = 12"),
    "batch of none": (lambda: sg.noises.Minibatch(SAMPLES, 0), InputError, "batch_size = 0; wanted an integer ≥ 1"),
    "batch of a half": (lambda: sg.noises.Minibatch(SAMPLES, 1.5), InputError, "batch_size = 1.5; wanted an integer"),  # type: ignore[arg-type]
    "batch of True": (lambda: sg.noises.Minibatch(SAMPLES, True), InputError, "batch_size = True"),
    "nothing to draw from": (lambda: sg.noises.Minibatch(QUADRATIC, 1), InputError, "n = 1 sample: nothing to draw a minibatch from. Use sg.noises.Gaussian"),
    # models
    "eta of zero": (lambda: sg.sdes.SME1(NOISE, 0.0), InputError, "eta = 0.0; wanted a finite number > 0"),
    "eta below zero": (lambda: sg.kernels.SGD(NOISE, -0.1), InputError, "eta = -0.1; wanted a finite number > 0"),
    "eta NaN": (lambda: sg.sdes.HASME(NOISE, NAN), InputError, "eta = nan"),
    "logarithm of a negative number": (lambda: sg.sdes.SPF(NOISE, 0.5), DomainError, "≥ 1: log(1 − eta·lambda) is not real there"),
    "unknown log policy": (lambda: sg.sdes.HASME(NOISE, 0.1, log="clp"), InputError, "log='clp' is no domain policy. Did you mean 'clip'?"),
    "unknown psd policy": (lambda: sg.sdes.HASME(NOISE, 0.1, psd="stpo"), InputError, "Did you mean 'stop'?"),
    # kernels
    "dt that does not divide eta": (lambda: sg.kernels.Heun(SME1, 0.03), InputError, "does not divide the tick 0.1 (= eta); use dt = eta/n"),
    "dt above eta": (lambda: sg.kernels.EulerMaruyama(SME1, 0.2), InputError, "does not divide the tick"),
    "dt below zero": (lambda: sg.kernels.EulerMaruyama(SME1, -0.1), InputError, "dt = -0.1; wanted"),
    "exact steps of a nonlinear SDE": (
        lambda: sg.kernels.ExactOU(sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.DoubleWell(1), 1.0), 0.1), 0.1),
        InputError,
        "SME1 is not linear here",
    ),
    "amplification of a half": (lambda: sg.kernels.SVAG(NOISE, 0.1, 0.5), InputError, "l = 0.5; wanted an integer ≥ 1"),  # type: ignore[arg-type]
    # runs
    "horizon off the grid": (run(horizon=0.25), InputError, "horizon = 0.25 is no multiple of the tick 0.1"),
    "horizon of zero": (run(horizon=0.0), InputError, "horizon = 0.0; wanted a finite number > 0"),
    "horizon NaN": (run(horizon=NAN), InputError, "horizon = nan"),
    "save off the grid": (run(save=(0.05,)), InputError, "save = 0.05 is no multiple of the tick"),
    "save beyond the horizon": (run(save=(0.5, 2.0)), InputError, "save holds 2, beyond the horizon 1"),
    "saves in no order": (run(save=(0.5, 0.2)), InputError, "wanted increasing SDE times"),
    "a save twice": (run(save=(0.5, 0.5)), InputError, "wanted increasing SDE times"),
    "no save": (run(save=()), InputError, "at least one"),
    "save below zero": (run(save=(-0.1,)), InputError, "wanted a finite SDE time ≥ 0"),
    "start of another dimension": (run(theta0=[1.0, 1.0, 1.0]), InputError, "theta0 has shape (1, 3); wanted [paths, 2] or [2]"),
    "start with NaN": (run(theta0=[1.0, NAN]), InputError, "theta0 holds NaN or infinity"),
    "no start points": (run(theta0=np.ones((0, 2)), paths=None), InputError, "theta0 has shape (0, 2)"),
    "start points that are not the paths": (run(theta0=np.ones((2, 2))), InputError, "theta0 holds 2 points and paths = 3"),
    "sampler without paths": (run(theta0=lambda paths, generator: torch.ones(paths, 2), paths=None), InputError, "give the number of paths"),
    "sampler of another dimension": (run(theta0=lambda paths, generator: torch.ones(paths, 3)), InputError, "theta0 sampler has shape (1, 3)"),
    "paths of zero": (run(paths=0), InputError, "paths = 0; wanted an integer ≥ 1"),
    "paths of a half": (run(paths=1.5), InputError, "paths = 1.5"),
    "paths of True": (run(paths=True), InputError, "paths = True"),
    "seed below zero": (run(seed=-1), InputError, "seed = -1; wanted a non-negative integer"),
    "seed True": (run(seed=True), InputError, "seed = True"),
    "seed None": (run(seed=None), InputError, "seed = None"),
    "block size of zero": (run(block_size=0), InputError, "block_size = 0; wanted an integer ≥ 1"),
    "more than the memory": (run(paths=10**9, save=[k * 0.1 for k in range(11)]), InputError, "GiB"),
    "observable of another shape": (run(observe={"sum": lambda theta: theta.sum()}), InputError, "observable 'sum' returned shape ()"),
    "observable that is no tensor": (run(observe={"one": lambda theta: 1.0}), InputError, "observable 'one' returned float"),
    "stop that is no mask": (run(stop=lambda theta: theta[:, 0]), InputError, "stop returned torch.float64 (1,) for 1 points; wanted torch.bool"),
    "stop that is a number": (run(stop=lambda theta: True), InputError, "stop returned bool"),
    # names
    "unknown model": (compare(models=["HASMEE"]), InputError, "'HASMEE' is no model. Did you mean 'HASME'?"),
    "no model": (compare(models=[]), InputError, "models is empty"),
    "unknown claim": (lambda: ledger.select(sg.claims.catalogue(), "quick", ids=["a24"]), InputError, "'a24' is no claim. Did you mean 'A24'?"),
    "unknown profile": (lambda: ledger.select(sg.claims.catalogue(), "quik"), InputError, "'quik' is no profile. Did you mean 'quick'?"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_in_words(name: str) -> None:
    call, error, words = CASES[name]
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_large_seeds_are_fine() -> None:
    a, b = run(seed=2**64 + 3)(), run(seed=np.int64(5))()
    assert not torch.equal(a.states, b.states)


def test_refusals_come_before_the_first_step() -> None:
    """A kernel that counts its steps takes none when anything about the run is wrong."""

    class Counting(Kernel):
        dim, tick, steps = 2, 0.1, 0

        def advance(self, state: State, k: int, generator: torch.Generator) -> State:
            Counting.steps += 1
            return state

    kernel = Counting()
    wrong: list[dict[str, Any]] = [
        {"seed": -1},
        {"horizon": 0.25},
        {"save": (0.3, 5.0)},
        {"theta0": [1.0]},
        {"paths": 0},
        {"block_size": -3},
        {"observe": {"bad": lambda theta: theta.sum()}},
        {"stop": lambda theta: theta},
    ]
    for changed in wrong:
        with pytest.raises(InputError):
            run(kernel=kernel, **changed)()
    assert Counting.steps == 0
    run(kernel=kernel)()
    assert Counting.steps == 10


def test_every_error_is_a_value_error_of_the_package() -> None:
    assert issubclass(SgdsdeError, ValueError)
    assert issubclass(InputError, SgdsdeError)
    assert issubclass(DomainError, SgdsdeError)
