"""Two points moved by the same minibatches, and by SDE models driven by the same Brownian motions: orders of their joint statistics, without Monte Carlo.

F(θ¹, θ²) = f(θ¹) + f(θ²) sample by sample: SGD on F is SGD from two starts with shared batches, and the noise's root Rz = ∇Σᵢ(zᵢ−z̄)ℓᵢ/√(nB) takes the same z
at both points. So the stochastic modified flow of f is the modified equation of F (Gess, Kassing, Konarovskyi, arXiv 2302.07125). Another flow with the same
law at each single point drives both by one d-dimensional motion through the symmetric root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde import calculus
from sgdsde.measurement import Measured
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian, Minibatch, gaussian_surrogate
from sgdsde.objective import Facts, Objective, like
from sgdsde.objectives import LeastSquares
from sgdsde.oracles import sde_moments, sgd_moments
from sgdsde.order import fit_order, measure_orders
from sgdsde.sde import SDE, ModifiedEquation
from sgdsde.sdes import SME1, SME2
from sgdsde.types import Estimate

TOLERANCE = 1e-8
_UNREAD = Estimate(math.nan, math.nan, 0, math.nan, math.nan)


class TwoPoints(Objective):
    """f(θ¹) + f(θ²), sample by sample."""

    def __init__(self, inner: Objective) -> None:
        self.inner, self.dim, self.n = inner, 2 * inner.dim, inner.n
        self.facts = Facts(grad=self._grad, hessian=self._hessian, sample_grads=self._sample_grads, constant_hessian=inner.facts.constant_hessian)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        first, second = theta.chunk(2, 1)
        return self.inner.sample_loss(first, batch) + self.inner.sample_loss(second, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        return torch.cat([calculus.grad(self.inner, part) for part in theta.chunk(2, 1)], 1)

    def _hessian(self, theta: Tensor) -> Tensor:
        first, second = (calculus.hessian(self.inner, part) for part in theta.chunk(2, 1))
        zero = torch.zeros_like(first)
        return torch.cat([torch.cat([first, zero], 2), torch.cat([zero, second], 2)], 1)

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return torch.cat([calculus.sample_grads(self.inner, part, batch) for part in theta.chunk(2, 1)], 2)


class Waves(Objective):
    """ℓᵢ(θ) = aᵢcos(θ − cᵢ) on the circle."""

    dim = 1

    def __init__(self, amplitudes: Sequence[float], phases: Sequence[float]) -> None:
        self.a, self.c = (torch.tensor(values, dtype=torch.float64) for values in (amplitudes, phases))
        self.n = len(self.a)
        self.facts = Facts(grad=self._grad, hessian=self._hessian, sample_grads=self._sample_grads)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        a, shifted = self._at(theta, batch)
        return a * shifted.cos()

    def _at(self, theta: Tensor, batch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        a, c = like(self.a, theta), like(self.c, theta)
        return (a, theta - c) if batch is None else (a[batch], theta - c[batch])

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        a, shifted = self._at(theta, batch)
        return -(a * shifted.sin())[:, :, None]

    def _grad(self, theta: Tensor) -> Tensor:
        return self._sample_grads(theta).mean(1)

    def _hessian(self, theta: Tensor) -> Tensor:
        a, shifted = self._at(theta)
        return -(a * shifted.cos()).mean(1)[:, None, None]


class SharedRoot:
    """Covariance of two points of one dimension moved by one normal: √Σ(θ¹)√Σ(θ²) across."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    def __call__(self, theta: Tensor) -> Tensor:
        root = self.noise.covariance(theta).diagonal(dim1=1, dim2=2).sqrt()
        return root[:, :, None] * root[:, None, :]


class NothingShared:
    """Covariance of two points moved by independent noises."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    def __call__(self, theta: Tensor) -> Tensor:
        sigma, dim = self.noise.covariance(theta), theta.shape[1] // 2
        same = torch.block_diag(torch.ones(dim, dim), torch.ones(dim, dim)).to(sigma)
        return sigma * same


def _cosine_gap(x: Tensor) -> Tensor:
    return (x[:, 0] - x[:, 1]).cos()


def _sine_product(x: Tensor) -> Tensor:
    return x[:, 0].sin() * x[:, 1].sin()


def _cosine_product(x: Tensor) -> Tensor:
    return x[:, 0].cos() * x[:, 1].cos()


def _mixed_product(x: Tensor) -> Tensor:
    return x[:, 0].sin() * x[:, 1].cos()


JOINT = {"cos(θ¹−θ²)": _cosine_gap, "sin θ¹ sin θ²": _sine_product, "cos θ¹ cos θ²": _cosine_product, "sin θ¹ cos θ²": _mixed_product}


def least_squares_orders(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]], etas: Sequence[float], horizon: float) -> Measured:
    """For each problem (``dim``, ``samples``, ``batch``, ``draw``): ``name/model`` the order in η of the trace of Cov(X¹, X²) under true minibatches, for
    SME-1, SME-2 and for SME-2 with independent noises.
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for name, problem in problems.items():
        rng, dim = np.random.default_rng(problem["draw"]), problem["dim"]
        x = rng.standard_normal((problem["samples"], dim))
        noise = Minibatch(TwoPoints(LeastSquares(x, rng.standard_normal(problem["samples"]))), problem["batch"])
        start = np.concatenate([rng.standard_normal(dim) + 1, rng.standard_normal(dim) - 1])
        apart = Gaussian(noise.objective, NothingShared(noise))
        models: dict[str, tuple[type[ModifiedEquation], Noise]] = {"SME1": (SME1, noise), "SME2": (SME2, noise), "nothing shared": (SME2, apart)}
        sgd = [_cross(sgd_moments(noise, eta, start, round(horizon / eta)).covariance) for eta in etas]
        for label, (model, driver) in models.items():
            sde = [_cross(sde_moments(model(driver, eta), start, horizon).covariance) for eta in etas]
            fit = fit_order(etas, [a - b for a, b in zip(sde, sgd, strict=True)], [1e-12 * abs(b) for b in sgd])
            estimates[f"{name}/{label}"] = _UNREAD if fit.order is None else Estimate(fit.order.value, 0.0, 0, fit.order.low, fit.order.high)
            notes += [f"{name}, {label}: {fit.reason}"] if fit.order is None else []
    return Measured(estimates, notes=tuple(notes), conventions="least squares, minibatches with replacement, exact moments, float64")


def circle_orders(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]], etas: Sequence[float], horizon: float) -> Measured:
    """For each problem (``amplitudes``, ``phases``, ``batch``, ``start``) on the circle: ``name/model`` the lowest order over joint test functions, against
    SGD's Gaussian surrogate with shared z; SME-1, SME-2 and SME-2 through one shared root.
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for name, problem in problems.items():
        noise = gaussian_surrogate(Minibatch(TwoPoints(Waves(problem["amplitudes"], problem["phases"])), problem["batch"]))
        models: dict[str, Callable[[Noise, float], SDE]] = {"SME1": SME1, "SME2": SME2, "shared root": _through_one_root}
        options = {"etas": etas, "theta0": problem["start"], "horizon": horizon, "functions": JOINT, "tolerance": TOLERANCE}
        for model, by_function in measure_orders(models, noise, **options).items():
            readable = [fit.order for fit in by_function.values() if fit.order is not None]
            found = min(readable, key=lambda order: order.value, default=_UNREAD)
            estimates[f"{name}/{model}"] = Estimate(found.value, 0.0, 0, found.low, found.high)
            notes += [f"{name}, {model}, {function}: {fit.reason}" for function, fit in by_function.items() if fit.order is None]
    return Measured(estimates, notes=tuple(notes), conventions="two points on the circle, shared z, deterministic oracle on the torus, float64")


def _through_one_root(noise: Noise, eta: float) -> SDE:
    return SME2(Gaussian(noise.objective, SharedRoot(noise)), eta)


def _cross(covariance: Tensor) -> float:
    """tr Cov(X¹, X²)."""
    dim = covariance.shape[0] // 2
    return float(covariance[:dim, dim:].trace())
