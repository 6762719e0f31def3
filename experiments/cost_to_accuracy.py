"""What it costs to know a weak error: E φ(X_T) − E φ(θ_{T/η}) by independent ensembles, by coupled ones, and by coupled ones with a control variate.

    independent   mean of φ(X) − mean of φ(θ) over N paths each, two streams
    coupled       mean of φ(X) − φ(θ), both on the increments of one Brownian motion
    controlled    coupled, less the regression on the same difference in the linear world at the start, whose expectation is exact

A block of paths is cut into groups of N; the spread of the groups' estimates about the exact error (1-D oracle; about the mean of all where there is none)
is the error of an estimate from N paths. A path costs 1 + n steps a tick, n those of the integrator, and as many again where the linear world runs beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import sgdsde as sg
from sgdsde.control_variate import controlled
from sgdsde.objectives.local_quadratic import LocalQuadratic
from sgdsde.plots import Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError

ESTIMATORS = ("independent", "coupled", "controlled")
PROBLEMS = ("double well", "digits network")
GROUPS = (64, 256, 1024)


@dataclass(frozen=True)
class Config(StudyConfig):
    """The problems, the model, the horizon in steps, and the integrator."""

    problem: tuple[str, ...] = option(PROBLEMS, f"problems: {', '.join(PROBLEMS)}")
    model: Literal["SME1", "SME2", "HASMEProduct"] = option("SME2", "the SDE whose weak error is wanted")
    steps: int = option(10, "horizon in steps of SGD", low=1, high=10_000)
    substeps: int = option(4, "Heun steps a step of SGD", low=1, high=1000)
    eta: float = option(0.1, "step size in the double well; in the network it is eta over the largest curvature, times 3", above=0, high=0.3)
    sigma: float = option(0.5, "standard deviation of the gradient noise in the double well", above=0, high=3)
    start: float = option(0.7, "start in the double well", low=-2, high=2)
    batch: int = option(8, "batch size in the network", low=1, high=100)
    samples: int = option(100, "digits that the network is trained on", low=100, high=1797)


class CostToAccuracy(Study[Config]):
    """Error of three estimators against path-steps, one cell for each problem and estimator."""

    title = "Error of an estimated weak error against its cost, for three estimators"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 8192, "block_paths": 4096},
        "full": {"paths": 262_144, "block_paths": 8192, "model": "HASMEProduct"},
        "paper": {"paths": 4_194_304, "block_paths": 16_384, "substeps": 8, "model": "HASMEProduct"},
    }

    def check(self, config: Config) -> None:
        for name in config.problem:
            if name not in PROBLEMS:
                raise InputError(f"problem: {name!r} is unknown; wanted some of {', '.join(PROBLEMS)}.")
        if config.block_paths < 4 * GROUPS[-1]:
            raise InputError(f"block_paths = {config.block_paths}; wanted at least {4 * GROUPS[-1]}, so that a block holds four groups of {GROUPS[-1]}.")

    def cells(self, config: Config) -> Sequence[str]:
        return [f"{problem}: {estimator}" for problem in config.problem for estimator in ESTIMATORS]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian noise; in the network the Gaussian surrogate of minibatches", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        problem, _, estimator = cell.partition(": ")
        values = _values(config, problem, estimator, paths, seed)  # [paths] or (values, controls, expected)
        return {str(size): Moments.of(np.array([_estimate(values, slice(k, k + size)) for k in range(0, paths - size + 1, size)])) for size in GROUPS}

    def samples(self, config: Config, cell: str, name: str, *, paths: int) -> int:
        return paths // int(name)  # estimates from groups of paths

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        for problem in config.problem:
            exact = _exact(config) if problem == "double well" else None
            series, errors = [], {}
            for estimator in ESTIMATORS:
                stored = cells[f"{problem}: {estimator}"]
                cost = np.array([size * _cost(config, estimator) for size in GROUPS], dtype=float)
                found = [_rms(stored[str(size)], exact) for size in GROUPS]
                errors[estimator] = [float(one.value) for one in found]
                value, low, high = (np.array([float(getattr(one, name)) for one in found]) for name in ("value", "low", "high"))
                series.append(Series(LOOKS[estimator], estimator, cost, value, low, high, "band"))
                lines += [Line(f"{problem}, {estimator}", f"error of an estimate from {size} paths", one) for size, one in zip(GROUPS, found, strict=True)]
            for estimator in ESTIMATORS[1:]:
                gain = _gain(config, cells[f"{problem}: independent"], cells[f"{problem}: {estimator}"], estimator, exact)
                lines.append(Line(f"{problem}, {estimator}", "fewer path-steps than independent at equal error, times", gain))
            panels.append(Panel(problem.capitalize(), "path-steps", "error of the estimate", tuple(series), log="xy"))
        return Summary(tuple(lines), tuple(panels))


#: estimators look like models do: the reference in black
LOOKS = {"independent": "SGD", "coupled": "SME1", "controlled": "HASME"}


def _estimate(values: Any, part: slice) -> float:
    if isinstance(values, np.ndarray):
        return float(values[part].mean())
    differences, controls, expected = values
    return float(controlled(differences[part], controls[part], expected).value)


def _values(config: Config, problem: str, estimator: str, paths: int, seed: int) -> Any:
    """φ(X) − φ(θ) path by path, with controls and their expectations for the controlled estimator."""
    import torch

    noise, eta, start = _problem(config, problem)
    sde = getattr(sg.sdes, config.model)(noise, eta)
    sgd, integrator = sg.kernels.SGD(noise, eta), sg.kernels.Heun(sde, eta / config.substeps)
    options: dict[str, Any] = {"horizon": config.steps * eta, "paths": paths, "progress": False}

    def phi(states: Any) -> Any:
        return ((states[-1] - start) ** 2).sum(1)

    if estimator == "independent":
        x, y = sg.simulate(integrator, start, seed=seed, **options).states, sg.simulate(sgd, start, seed=seed ^ 1, **options).states
        return (phi(x) - phi(y)).numpy()
    pair = sg.kernels.Coupled(sgd, integrator)
    theta, x = pair.split(sg.simulate(pair, start, seed=seed, **options).states)
    differences = (phi(x) - phi(theta)).numpy()
    if estimator == "coupled":
        return differences
    frozen = sg.noises.Gaussian(LocalQuadratic(noise.objective, start), noise.covariance(start[None])[0])
    world = sg.sdes.SME2(frozen, eta) if config.model == "SME2" else sg.sdes.SME1(frozen, eta) if config.model == "SME1" else sg.sdes.HASMEProduct(frozen, eta)
    shadow = sg.kernels.Coupled(sg.kernels.SGD(frozen, eta), sg.kernels.Heun(world, eta / config.substeps))
    theta, x = shadow.split(sg.simulate(shadow, start, seed=seed, **options).states)
    first = sg.oracles.sgd_moments(frozen, eta, start, config.steps)
    second = sg.oracles.kernel_moments(shadow.b, start, config.steps)
    squared = [float(((part.mean - start) ** 2).sum() + part.covariance.trace()) for part in (second, first)]
    controls = torch.stack([phi(x) - phi(theta), phi(theta)], 1).numpy()
    return differences, controls, np.array([squared[0] - squared[1], squared[1]])


def _problem(config: Config, problem: str) -> tuple[Any, float, Any]:
    import torch

    if problem == "double well":
        return sg.noises.Gaussian(sg.objectives.DoubleWell(), config.sigma**2), config.eta, torch.tensor([config.start], dtype=torch.float64)
    from sgdsde.measurements.digits_network import digits_network, start_at

    objective = digits_network(config.samples)
    start = start_at(objective, "mid-training", 0)
    eta = 3 * config.eta / float(torch.linalg.eigvalsh(sg.calculus.hessian(objective, start[None])[0])[-1])
    return sg.noises.gaussian_surrogate(sg.noises.Minibatch(objective, config.batch)), eta, start


def _cost(config: Config, estimator: str) -> int:
    """Path-steps a path."""
    return config.steps * (1 + config.substeps) * (2 if estimator == "controlled" else 1)


def _exact(config: Config) -> float:
    """The weak error of the integrated model is the wanted one up to the integrator's bias; the model's own comes from the oracle."""
    noise, eta, start = _problem(config, "double well")
    place: dict[str, Any] = {"theta0": [start.tolist()], "horizon": config.steps * eta, "functions": {"φ": lambda x: ((x - start) ** 2).sum(1)}}
    sde = sg.oracles.sde_expectations(getattr(sg.sdes, config.model)(noise, eta), **place)
    return float(sde.value[0, 0] - sg.oracles.sgd_expectations(noise, eta=eta, **place).value[0, 0])


def _rms(stored: Moments, exact: float | None) -> Estimate:
    """Root mean square error of the groups' estimates, interval by their fourth moment."""
    variance = stored.variance_estimate()
    bias = 0.0 if exact is None else float(stored.mean) - exact
    noise_of_bias = float(variance.value) / float(stored.count)
    extra = max(bias**2 - noise_of_bias, 0.0)
    value, low, high = (float(np.sqrt(part + extra)) for part in (variance.value, variance.low, variance.high))
    return Estimate(value, (high - low) / 3.92, int(stored.count), low, high)


def _gain(config: Config, plain: Mapping[str, Moments], other: Mapping[str, Moments], estimator: str, exact: float | None) -> Estimate:
    """Ratio of the mean square errors at the smallest groups, of which there are most, times the ratio of the costs."""
    first, second = _rms(plain[str(GROUPS[0])], exact), _rms(other[str(GROUPS[0])], exact)
    factor = _cost(config, "independent") / _cost(config, estimator)
    value = factor * (first.value / second.value) ** 2
    spread = 2 * float(np.hypot(np.log(first.high / first.low), np.log(second.high / second.low))) / 3.92
    return Estimate(value, value * spread, min(first.n, second.n), value * float(np.exp(-1.96 * spread)), value * float(np.exp(1.96 * spread)))


STUDY = CostToAccuracy()
