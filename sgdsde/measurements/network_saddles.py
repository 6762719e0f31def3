"""How SGD leaves saddles of a small digits network: against the local law with the measured H and Σ, against the models, and where it cannot leave at all.

Saddles come from Newton's method on g = 0 along training. Where one negative direction u carries noise, the local HA-SME is a chain on u·θ of its own:
growth m = 1 + ημ, noise η√(uᵀΣu), with an exact mean exit from |u·θ| < R (``oracles.sgd_mean_exit``). A **symmetric** saddle has a dead unit
(w, b, v) = 0 or two units that mirror each other; every sample's gradient keeps that symmetry, so along the negative directions the noise vanishes, and SGD
cannot leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad, hessian, sample_covariance
from sgdsde.error_ratio import Errors
from sgdsde.exits import exit_times
from sgdsde.frozen_noise import Frozen
from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Coupled, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.digits_network import descend, digits_network, initial, newton
from sgdsde.measurements.network_comparison import BLOCK, CHECK, FIRST_ORDER, build
from sgdsde.noises import Gaussian, Minibatch, gaussian_surrogate
from sgdsde.objective import Objective
from sgdsde.objectives import Quadratic
from sgdsde.oracles import sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate
from sgdsde.types import DomainError, Estimate

#: the saddle with noise: samples, start and iterates of descent before Newton's method
SAMPLES, SEED, DESCENT = 200, 2, 240
#: SDE time in units of 1/μ after which nobody is left
LONG = 60.0


@dataclass(frozen=True)
class Saddle:
    """A stationary point of a network with what is measured there."""

    objective: Objective
    point: Float[Tensor, " dim"]
    curvatures: Float[Tensor, " dim"]
    directions: Float[Tensor, "dim dim"]
    noise: Float[Tensor, " dim"]  #: variance of one sample's gradient along each direction

    @staticmethod
    def at(objective: Objective, point: Tensor) -> Saddle:
        """Measured at a stationary point.

        Raises:
            DomainError: |g| is not tiny, or no curvature is clearly negative.
        """
        values, vectors = torch.linalg.eigh(hessian(objective, point[None])[0])
        size = float(grad(objective, point[None]).norm())
        if size > 1e-8 or float(values[0]) > -1e-3:
            raise DomainError(f"|∇f| = {size:.2g}, lowest curvature {float(values[0]):.2g}: no saddle here.")
        along = (vectors.T @ sample_covariance(objective, point[None])[0] @ vectors).diagonal()
        return Saddle(objective, point, values, vectors, along)

    @property
    def breaking(self) -> Float[Tensor, "dim k"]:
        """Orthonormal directions that break a symmetry of the weights, read off θ to 1e-6: all of a dead unit's, and the difference (or sum) of two units that
        are equal (or opposite). k = 0 where there is no symmetry.
        """
        hidden = self.objective.hidden  # type: ignore[attr-defined]
        edge = len(self.point) - 2 * hidden
        places = torch.cat([torch.arange(edge).reshape(hidden, -1), edge + torch.arange(2 * hidden).reshape(2, hidden).T], 1)  # [hidden, features + 2]
        units, basis = self.point[places], torch.eye(len(self.point), dtype=self.point.dtype)
        dead = [i for i in range(hidden) if float(units[i].norm()) < 1e-6]
        found = [basis[:, places[i]] for i in dead]
        for i in range(hidden):
            for j in range(i):
                for sign in (1, -1):
                    if i not in dead and j not in dead and float((units[i] - sign * units[j]).norm()) < 1e-6:
                        found.append((basis[:, places[i]] - sign * basis[:, places[j]]) / 2**0.5)
        joined = torch.cat([basis[:, :0], *found], 1)
        left, values, _ = torch.linalg.svd(joined, full_matrices=False)  # three equal units give dependent differences
        return left[:, values > 1e-8]

    @property
    def symmetric(self) -> bool:
        """Whether there is a symmetry that a negative direction breaks."""
        V = self.breaking
        return V.shape[1] > 0 and float(torch.linalg.eigvalsh(V.T @ hessian(self.objective, self.point[None])[0] @ V)[0]) < -1e-3


def saddle_with_noise() -> Saddle:
    """The one of the claims: one negative direction, with noise along it."""
    objective = digits_network(SAMPLES)
    return Saddle.at(objective, newton(objective, descend(objective, initial(objective, SEED), DESCENT))[0])


def saddles_along_training(samples: int, seeds: Sequence[int], every: int, until: int) -> list[Saddle]:
    """The different saddles that Newton's method finds from iterates of descent."""
    objective = digits_network(samples)
    found: list[Saddle] = []
    for seed in seeds:
        theta = initial(objective, seed)
        for _ in range(0, until, every):
            try:
                saddle = Saddle.at(objective, newton(objective, theta, steps=30)[0])
            except DomainError:
                saddle = None  # a minimum, or Newton's method went nowhere from here: the next iterate
            if saddle is not None and all(float((saddle.curvatures - other.curvatures).norm()) > 1e-5 for other in found):
                found.append(saddle)
            theta = descend(objective, theta, every)
    return found


@dataclass(frozen=True)
class Slab:
    """{θ : |u·(θ − c)| < R}, a region."""

    center: Tensor
    normal: Tensor
    radius: float

    def __call__(self, theta: Tensor) -> Tensor:
        return ((theta - self.center) @ self.normal).abs() < self.radius


def local_law(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], paths: int) -> Measured:
    """For each setting (``x`` = ηλmax, ``batch``, ``radius``): ``name/time``, mean steps of minibatch SGD out of the slab over the local HA-SME's exact mean.

    ``name/isotropic``: over the same law with noise tr Σ/d in every direction. ``name/side``: E sin² of the angle between exit and u, less that of the linear
    world on the same batches.
    """
    saddle = saddle_with_noise()
    estimates: dict[str, Estimate] = {}
    notes = [_words(saddle)]
    for offset, (name, setting) in enumerate(settings.items()):
        eta = setting["x"] / float(saddle.curvatures[-1])
        noise, radius = Minibatch(saddle.objective, setting["batch"]), setting["radius"]
        law, wrong = (exact_steps(saddle, eta, float(s) / setting["batch"], radius) for s in (saddle.noise[0], saddle.noise.mean()))
        found, angle = _leave(SGD(noise, eta), saddle, radius, paths, seed + offset)
        _, linear = _leave(SGD(Frozen(noise, saddle.point), eta), saddle, radius, paths, seed + offset)
        steps = mean_estimate(found, level=level)
        estimates[f"{name}/time"] = _over(steps, law)
        estimates[f"{name}/isotropic"] = _over(steps, wrong)
        estimates[f"{name}/side"] = mean_estimate(angle - linear, level=level)
        times = f"{float(steps.value):.3g} ± {float(steps.stderr):.2g} steps, law {law:.4g}, isotropic {wrong:.4g}"
        notes.append(f"{name}: {times}; E sin² {angle.mean():.3f}, linear {linear.mean():.3f}")
    return Measured(estimates, notes=tuple(notes), conventions="minibatches with replacement, exits of |u·(θ − θ*)| < R at iterates, float64")


def model_exits(
    *, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], models: Sequence[str], paths: int, substeps: int, longest: int
) -> Measured:
    """``name/model``: mean of min(exit, ``longest``) steps of a model over that of the Gaussian surrogate, on shared increments; ``name/model/batch`` over
    minibatch SGD's. Intervals are wider by what halving the integrator's step changes, as in ``network_comparison``.
    """
    saddle = saddle_with_noise()
    estimates: dict[str, Estimate] = {}
    notes, series = [_words(saddle)], []
    for offset, (name, setting) in enumerate(settings.items()):
        eta, radius, batch = setting["x"] / float(saddle.curvatures[-1]), setting["radius"], setting["batch"]
        noise = Minibatch(saddle.objective, batch)
        surrogate = gaussian_surrogate(noise)
        direct = mean_estimate(_watch(SGD(noise, eta), saddle, radius, 4 * paths, seed + 10 * offset + 1, longest)[0], level=level)
        for model in models:
            sde = build(model, surrogate, eta)
            count = paths if sde.noise_dim else max(50, paths // 8)  # all paths of an ODE are one
            twin, found = _watch(Coupled(SGD(surrogate, eta), Heun(sde, eta / substeps)), saddle, radius, count, seed + 10 * offset, longest)
            halves = Coupled(Heun(sde, eta / substeps), Heun(sde, eta / (2 * substeps)))
            coarse, fine = _watch(halves, saddle, radius, max(50, count // CHECK), seed + 10 * offset + 2, longest)
            change = Errors.of(np.stack([fine - coarse, np.zeros_like(fine)], 1))
            both = Errors.of(np.stack([found, twin], 1)).doubted(change, FIRST_ORDER)
            estimates[f"{name}/{model}"] = both.ratio(0, 1, level=level)
            independent = np.diag([found.var(ddof=1) / count, float(direct.stderr) ** 2])
            apart = Errors(np.array([found.mean(), float(direct.value)]), independent, count, both.slack)
            estimates[f"{name}/{model}/batch"] = apart.ratio(0, 1, level=level)
            notes.append(
                f"{name}, {model}: {found.mean():.3g} steps, surrogate {twin.mean():.3g}, minibatch {float(direct.value):.3g} ± {float(direct.stderr):.2g}"
            )
        ratios = [estimates[f"{name}/{model}"] for model in models]
        value, low, high = (np.array([getattr(e, part) for e in ratios], dtype=float) for part in ("value", "low", "high"))
        series.append(Series(name, name, np.arange(len(models)) + 0.1 * offset, value, low, high, kind="points"))
    panel = Panel("Mean exit from a network's saddle", "model: " + ", ".join(models), "over the surrogate's", tuple(series), level=1.0)
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions="coupled paths, |u·(θ − θ*)| < R at iterates, float64")


def symmetric_saddles(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], steps: int) -> Measured:
    """For each setting (``samples``, ``seeds``): ``name/noise``, the largest gradient variance of one sample along a direction that breaks a symmetry over the
    mean over all directions, at the saddles with a negative direction among these; ``name/moved``, how far SGD with single samples gets along them in ``steps``
    steps; ``name/count`` of them. ``name/others``: the smallest noise along the lowest direction, over the mean, at the other saddles.
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for offset, (name, setting) in enumerate(settings.items()):
        found = saddles_along_training(setting["samples"], setting["seeds"], 20, 260)
        ratios: dict[bool, list[float]] = {True: [], False: []}
        moved = [0.0]
        for saddle in found:
            V, f = saddle.breaking, saddle.objective
            if not saddle.symmetric:
                ratios[False].append(float(saddle.noise[0] / saddle.noise.mean()))
                continue
            noise = torch.linalg.eigvalsh(V.T @ sample_covariance(f, saddle.point[None])[0] @ V)[-1]
            size = float(saddle.noise.mean())
            ratios[True].append(float(noise) / size if size > 1e-20 else float(noise))  # at the origin no sample has a gradient
            eta = 0.3 / float(saddle.curvatures.abs().max())
            run = simulate(SGD(Minibatch(f, 1), eta), saddle.point, horizon=steps * eta, paths=50, seed=seed + offset, progress=False)
            moved.append(float(((run.states[-1] - saddle.point) @ V).abs().max()))
        estimates[f"{name}/noise"] = exactly(max(ratios[True], default=float("nan")), 1e-14)
        estimates[f"{name}/moved"] = exactly(max(moved), 0.0)
        estimates[f"{name}/count"] = exactly(len(ratios[True]), 0.0)
        estimates[f"{name}/others"] = exactly(min(ratios[False], default=float("nan")), 1e-14)
        others = [round(ratio, 4) for ratio in sorted(ratios[False])]
        notes.append(f"{name}: {len(found)} saddles, {len(ratios[True])} symmetric; noise along the lowest direction of the others {others}")
    return Measured(estimates, notes=tuple(notes), conventions="single samples with replacement, float64")


def exact_steps(saddle: Saddle, eta: float, variance: float, radius: float) -> float:
    """The local HA-SME's mean exit from the slab at iterates, in steps, with gradient noise of this variance along u."""
    return sgd_mean_exit(Gaussian(Quadratic([float(saddle.curvatures[0])]), variance), eta, 0.0, Interval(-radius, radius)).steps


def _leave(kernel: Kernel, saddle: Saddle, radius: float, paths: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps, sin² of the angle between the displacement at the exit and u)."""
    u = saddle.directions[:, 0]
    region = Slab(saddle.point, u, radius)
    run = exit_times(kernel, saddle.point, region=region, horizon=LONG / -float(saddle.curvatures[0]), paths=paths, seed=seed, block_size=1024, progress=False)
    if bool(run.censored.any()):
        raise DomainError(f"Not every path left the slab: {run.counts()}.")
    return run.steps.to(torch.float64).numpy(), (1 - (run.directions @ u) ** 2).numpy()


@dataclass(frozen=True)
class _AllOut:
    """Whether every part of a (coupled) state has left the slab."""

    slab: Slab

    def __call__(self, theta: Tensor) -> Tensor:
        return torch.stack([~self.slab(part) for part in theta.split(len(self.slab.center), dim=1)]).all(0)


def _watch(kernel: Kernel, saddle: Saddle, radius: float, paths: int, seed: int, longest: int) -> list[np.ndarray]:
    """min(exit, longest) in steps of each part of a (coupled) kernel."""
    return [part[:, 0] for part in exits(kernel, saddle, radius, paths, seed, longest)]


def exits(kernel: Kernel, saddle: Saddle, radius: float, paths: int, seed: int, longest: int) -> list[Float[np.ndarray, "paths 2"]]:
    """(min(exit, longest) in steps, sin² of the angle between the displacement then and u) of each part of a (coupled) kernel, started at the saddle.

    Paths are stopped once all their parts are out.
    """
    u = saddle.directions[:, 0]
    slab = Slab(saddle.point, u, radius)
    save = [kernel.tick * k for k in range(1, longest + 1)]
    run = simulate(kernel, saddle.point, horizon=save[-1], save=save, paths=paths, seed=seed, block_size=BLOCK, stop=_AllOut(slab), progress=False)
    found = []
    for part in run.states.split(len(saddle.point), dim=2):
        out = torch.stack([~slab(points) for points in part])  # [longest, paths]
        steps = torch.where(out.any(0), out.to(torch.float64).argmax(0) + 1, longest)
        step = part[steps - 1, torch.arange(paths)] - saddle.point
        found.append(torch.stack([steps.to(torch.float64), 1 - (step @ u) ** 2 / (step**2).sum(1)], 1).numpy())
    return found


def _over(e: Estimate, value: float) -> Estimate:
    mean, stderr, low, high = (float(part) / value for part in (e.value, e.stderr, e.low, e.high))
    return Estimate(mean, stderr, e.n, low, high)


def _words(saddle: Saddle) -> str:
    negative = ", ".join(f"{float(v):.4g}" for v in saddle.curvatures[saddle.curvatures < 0])
    noise = f"noise variance along it {float(saddle.noise[0]):.3g} of {float(saddle.noise.sum()):.3g} in all"
    value, largest = float(saddle.objective.loss(saddle.point[None])), float(saddle.curvatures[-1])
    return f"saddle: f = {value:.4f}, negative curvature {negative}, largest {largest:.3g}, {noise}"
