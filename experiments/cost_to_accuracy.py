"""What it costs to know a weak error, E φ(X_T) − E φ(θ_{T/η}): independent ensembles, coupled ones, coupled ones with a control variate, and many levels.

    independent   mean of φ(X) − mean of φ(θ) over N paths each, two streams
    coupled       mean of φ(X) − φ(θ), both on the increments of one Brownian motion
    controlled    coupled, less the regression on two martingales of these very paths (``sgdsde.martingale_control``), whose expectation is zero
    multilevel    coupled at the coarsest grid, plus means of φ(finer) − φ(coarser) over coupled integrators, each level with as many paths as are best for it
                  (Giles, Oper. Res. 56, 2008): error² × path-steps = (Σ √(Vₗ Cₗ))², V the variance and C the cost of a path of a level

A block of paths is cut into groups of N; the spread of the groups' estimates about the exact error (1-D oracle; about the mean of all where there is none)
is the error of an estimate from N paths. A path costs 1 + n steps a tick, n those of the integrator. The best shares of the levels are taken as known: a pilot
that finds them comes on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import sgdsde as sg
from sgdsde.control_variate import controlled
from sgdsde.martingale_control import MartingaleControl
from sgdsde.observables import Loss, SquaredDistance
from sgdsde.plots import Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError

ESTIMATORS = ("independent", "coupled", "controlled", "multilevel")
PROBLEMS = ("double well", "digits network")
#: paths of an estimate; the gain is read off at GAIN of them, with estimates enough for an interval and paths enough for a regression
GROUPS, GAIN = (16, 64, 256), 64


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
    stage: Literal["initialisation", "mid-training", "minimum"] = option("mid-training", "start in the network")
    observable: Literal["squared distance", "loss"] = option("squared distance", "φ: |θ − start|², or the loss")


class CostToAccuracy(Study[Config]):
    """Error of four estimators against path-steps, one cell for each problem and estimator."""

    title = "Error of an estimated weak error against its cost, for four estimators"
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
        if estimator == "multilevel":
            return {f"level {n}": Moments.of(_level(config, problem, n, paths, seed)) for n in _ladder(config)}
        values = _values(config, problem, estimator, paths, seed)  # [paths] or (values, controls)
        return {str(size): Moments.of(np.array([_estimate(values, slice(k, k + size)) for k in range(0, paths - size + 1, size)])) for size in GROUPS}

    def samples(self, config: Config, cell: str, name: str, *, paths: int) -> int:
        return paths if name.startswith("level") else paths // int(name)  # estimates from groups of paths

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        for problem in config.problem:
            exact = _exact(config) if problem == "double well" else None
            series = []
            for estimator in ESTIMATORS:
                stored = cells[f"{problem}: {estimator}"]
                cost = np.array([size * _cost(config) for size in GROUPS], dtype=float)
                found = [_rms(config, stored, size, exact) for size in GROUPS]
                value, low, high = (np.array([float(getattr(one, name)) for one in found]) for name in ("value", "low", "high"))
                series.append(Series(LOOKS[estimator], estimator, cost, value, low, high, "band"))
                lines.append(Line(f"{problem}, {estimator}", "estimated weak error", _mean(stored)))
                lines += [Line(f"{problem}, {estimator}", f"error of an estimate from {size} paths", one) for size, one in zip(GROUPS, found, strict=True)]
            for estimator in ESTIMATORS[1:]:
                gain = _gain(config, cells[f"{problem}: independent"], cells[f"{problem}: {estimator}"], exact)
                lines.append(Line(f"{problem}, {estimator}", "fewer path-steps than independent at equal error, times", gain))
            panels.append(Panel(problem.capitalize(), "path-steps", "error of the estimate", tuple(series), log="xy"))
        return Summary(tuple(lines), tuple(panels))


#: estimators look like models do: the reference in black
LOOKS = {"independent": "SGD", "coupled": "SME1", "controlled": "HASME", "multilevel": "SPF"}


def _estimate(values: Any, part: slice) -> float:
    if isinstance(values, np.ndarray):
        return float(values[part].mean())
    differences, controls = values
    return float(controlled(differences[part], controls[part], np.zeros(controls.shape[1])).value)


def _values(config: Config, problem: str, estimator: str, paths: int, seed: int) -> Any:
    """φ(X) − φ(θ) path by path, with the controls of the controlled estimator."""
    noise, eta, start = _problem(config, problem)
    sgd, integrator = sg.kernels.SGD(noise, eta), _integrator(config, noise, eta, config.substeps)
    options: dict[str, Any] = {"horizon": config.steps * eta, "paths": paths, "progress": False}
    phi = _phi(config, noise, start)
    if estimator == "independent":
        x, y = sg.simulate(integrator, start, seed=seed, **options).states[-1], sg.simulate(sgd, start, seed=seed ^ 1, **options).states[-1]
        return (phi(x) - phi(y)).numpy()
    pair: Any = sg.kernels.Coupled(sgd, integrator) if estimator == "coupled" else MartingaleControl(sgd, integrator, [(phi, config.steps)], start)
    states = sg.simulate(pair, start, seed=seed, **options).states[-1]
    theta, x = pair.split(states)
    differences = (phi(x) - phi(theta)).numpy()
    return differences if estimator == "coupled" else (differences, pair.controls(states, 0))


def _ladder(config: Config) -> list[int]:
    """Steps a tick of the levels, each twice the one before, up to the integrator's."""
    counts = [config.substeps]
    while counts[0] % 2 == 0:
        counts.insert(0, counts[0] // 2)
    return counts


def _level(config: Config, problem: str, substeps: int, paths: int, seed: int) -> np.ndarray:
    """φ of the level's grid less φ of the next coarser one, or of SGD at the coarsest; each level on numbers of its own."""
    noise, eta, start = _problem(config, problem)
    coarsest = substeps == _ladder(config)[0]
    lower = sg.kernels.SGD(noise, eta) if coarsest else _integrator(config, noise, eta, substeps // 2)
    pair, phi = sg.kernels.Coupled(lower, _integrator(config, noise, eta, substeps)), _phi(config, noise, start)
    below, here = pair.split(sg.simulate(pair, start, horizon=config.steps * eta, paths=paths, seed=seed + 1000 * substeps, progress=False).states[-1])
    return np.asarray((phi(here) - phi(below)).numpy())


def _integrator(config: Config, noise: Any, eta: float, substeps: int) -> Any:
    return sg.kernels.Heun(getattr(sg.sdes, config.model)(noise, eta), eta / substeps)


def _phi(config: Config, noise: Any, start: Any) -> Any:
    return Loss(noise.objective) if config.observable == "loss" else SquaredDistance(tuple(start.tolist()))


def _problem(config: Config, problem: str) -> tuple[Any, float, Any]:
    import torch

    if problem == "double well":
        return sg.noises.Gaussian(sg.objectives.DoubleWell(), config.sigma**2), config.eta, torch.tensor([config.start], dtype=torch.float64)
    from sgdsde.measurements.digits_network import digits_network, start_at

    objective = digits_network(config.samples)
    start = start_at(objective, config.stage, 0)
    eta = 3 * config.eta / float(torch.linalg.eigvalsh(sg.calculus.hessian(objective, start[None])[0])[-1])
    return sg.noises.gaussian_surrogate(sg.noises.Minibatch(objective, config.batch)), eta, start


def _cost(config: Config) -> int:
    """Path-steps of a path of SGD with one of the integrator."""
    return config.steps * (1 + config.substeps)


def _exact(config: Config) -> float:
    """The weak error of the integrated model is the wanted one up to the integrator's bias; the model's own comes from the oracle."""
    noise, eta, start = _problem(config, "double well")
    place: dict[str, Any] = {"theta0": [start.tolist()], "horizon": config.steps * eta, "functions": {"φ": _phi(config, noise, start)}}
    sde = sg.oracles.sde_expectations(getattr(sg.sdes, config.model)(noise, eta), **place)
    return float(sde.value[0, 0] - sg.oracles.sgd_expectations(noise, eta=eta, **place).value[0, 0])


def _levels(stored: Mapping[str, Moments]) -> dict[int, Moments]:
    return {int(name.removeprefix("level ")): moments for name, moments in stored.items() if name.startswith("level ")}


def _mean(stored: Mapping[str, Moments]) -> Estimate:
    """What the estimator estimates, from groups of GAIN paths: all estimators must agree."""
    if levels := _levels(stored):
        parts = [one.mean_estimate() for one in levels.values()]
        stderr = float(np.sqrt(sum(float(part.stderr) ** 2 for part in parts)))
        return Estimate.normal(sum(float(part.value) for part in parts), stderr, min(part.n for part in parts))
    return stored[str(GAIN)].mean_estimate()


def _rms(config: Config, stored: Mapping[str, Moments], size: int, exact: float | None) -> Estimate:
    """Root mean square error of an estimate from ``size`` paths, or of one from levels at the price of that many coupled paths; interval by fourth moments."""
    mean = _mean(stored)
    bias = 0.0 if exact is None else float(mean.value) - exact
    extra = max(bias**2 - float(mean.stderr) ** 2, 0.0)
    variance = _best_of_levels(config, stored, size) if _levels(stored) else stored[str(size)].variance_estimate()
    value, low, high = (float(np.sqrt(part + extra)) for part in (variance.value, variance.low, variance.high))
    return Estimate(value, (high - low) / 3.92, variance.n, low, high)


def _best_of_levels(config: Config, stored: Mapping[str, Moments], size: int) -> Estimate:
    """(Σ √(Vₗ Cₗ))² over the path-steps of ``size`` coupled paths; the interval moves by d log = Σ wₗ d log Vₗ, w the level's share of the work."""
    shares = []
    for n, moments in _levels(stored).items():
        variance = moments.variance_estimate()
        below = 1 if n == min(_levels(stored)) else n // 2  # steps a tick of SGD, or of the coarser grid
        shares.append((np.sqrt(float(variance.value) * config.steps * (n + below)), np.log(float(variance.high) / float(variance.low)) / 3.92))
    total = sum(float(share) for share, _ in shares)
    spread = float(np.sqrt(sum((share / total * width) ** 2 for share, width in shares)))
    value = total**2 / (size * _cost(config))
    count = min(int(moments.count) for moments in _levels(stored).values())
    return Estimate(value, value * spread, count, value * float(np.exp(-1.96 * spread)), value * float(np.exp(1.96 * spread)))


def _gain(config: Config, plain: Mapping[str, Moments], other: Mapping[str, Moments], exact: float | None) -> Estimate:
    """Ratio of the mean square errors of estimates from GAIN paths, at one cost."""
    first, second = _rms(config, plain, GAIN, exact), _rms(config, other, GAIN, exact)
    value = (first.value / second.value) ** 2
    spread = 2 * float(np.hypot(np.log(first.high / first.low), np.log(second.high / second.low))) / 3.92
    return Estimate(value, value * spread, min(first.n, second.n), value * float(np.exp(-1.96 * spread)), value * float(np.exp(1.96 * spread)))


STUDY = CostToAccuracy()
