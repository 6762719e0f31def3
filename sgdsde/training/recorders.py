"""What is recorded along training, at chosen steps: λmax, tr H, tr M, tr(HΣ), loss differences on redraws, angles between steps.

With gᵢ the samples' gradients: M = (1/n)Σgᵢgᵢᵀ, tr M = (1/n)Σ‖gᵢ‖² (exact); Σ the covariance of the minibatch gradient of size B drawn with replacement.
tr H and tr(HΣ) are means over random vectors: E vᵀHv over signs v; E (Rz)ᵀH(Rz), with z ~ N(0, I_n) and Rz ~ N(0, Σ) of one weighted backward pass.
Loss differences Δ = f(θ − ηĝ) − f(θ) over fresh batches: Li et al., arXiv 1907.10732. All are of the loss in training mode (``trainable.objective``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hvp, sample_grads, weighted_grad
from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.rng import stream
from sgdsde.training.batches import Batches
from sgdsde.training.optimisers import Optimiser
from sgdsde.training.sharpness import largest_eigenvalues
from sgdsde.training.trainable import Trainable
from sgdsde.types import InputError, real

#: numbers in the sample gradients that are held at once
_ELEMENTS = 2**24


@dataclass(frozen=True)
class Visit:
    """What a recorder sees: the points of the running paths, and how they got there."""

    trainable: Trainable
    optimiser: Optimiser
    batches: Batches
    step: int
    theta: Float[Tensor, "paths dim"]
    #: mean cosine between consecutive steps since the last visit, NaN before there are two
    cosine: Float[Tensor, " paths"]
    #: indices of the running paths among all, and the training's seed: what random vectors are drawn from
    paths: tuple[int, ...]
    seed: int


class Recorder(ABC):
    """A quantity ``[P]`` or ``[P, k]`` at a point of training. The ones here are refused (InputError) when they are made with a number out of its range."""

    @abstractmethod
    def measure(self, visit: Visit) -> Tensor:
        """Its values at the running paths."""


@dataclass(frozen=True)
class LambdaMax(Recorder):
    """The largest eigenvalue of the Hessian in training mode on the first ``samples`` (None: all), to a relative ``tolerance``."""

    samples: int | None = None
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        _check_samples(self.samples)
        if not 0 < real(self.tolerance, "tolerance") < 1:
            raise InputError(f"tolerance = {self.tolerance!r}; wanted a number in (0, 1).")

    def measure(self, visit: Visit) -> Tensor:
        return largest_eigenvalues(visit.trainable.objective(self.samples, seed=visit.seed), visit.theta, tolerance=self.tolerance).values


@dataclass(frozen=True)
class TraceHessian(Recorder):
    """tr H by ``vectors`` random signs (at least 2): value and standard error, ``[P, 2]``."""

    samples: int | None = None
    vectors: int = 32

    def __post_init__(self) -> None:
        _check_samples(self.samples)
        _check_count(self.vectors, "vectors", 2)

    def measure(self, visit: Visit) -> Tensor:
        f = visit.trainable.objective(self.samples, seed=visit.seed)
        return torch.stack([_mean(_signed(f, point, self.vectors, visit.seed)) for point in visit.theta])


@dataclass(frozen=True)
class TraceSecondMoment(Recorder):
    """tr M = (1/n)Σ‖gᵢ‖², exact, ``[P]``."""

    samples: int | None = None

    def __post_init__(self) -> None:
        _check_samples(self.samples)

    def measure(self, visit: Visit) -> Tensor:
        f = visit.trainable.objective(self.samples, seed=visit.seed)
        return torch.stack([_mean_square(f, point) for point in visit.theta])


@dataclass(frozen=True)
class NoiseAlignedSharpness(Recorder):
    """tr(HΣ) by ``vectors`` draws of the noise (at least 2): value and standard error, ``[P, 2]``; Σ of the training's batch size."""

    samples: int | None = None
    vectors: int = 64

    def __post_init__(self) -> None:
        _check_samples(self.samples)
        _check_count(self.vectors, "vectors", 2)

    def measure(self, visit: Visit) -> Tensor:
        f = visit.trainable.objective(self.samples, seed=visit.seed)
        return torch.stack([_mean(_aligned(f, point, self.vectors, visit.seed)) / visit.batches.size for point in visit.theta])


@dataclass(frozen=True)
class LossDifferences(Recorder):
    """Δ = f(θ⁺) − f(θ) over ``redraws`` independent next steps (batches and masks drawn afresh, without momentum), sorted, ``[P, redraws]``.

    f is the loss in training mode over all samples; batches are drawn as in training, each the first of its own permutation.
    """

    redraws: int = 300

    def __post_init__(self) -> None:
        _check_count(self.redraws, "redraws", 1)

    def measure(self, visit: Visit) -> Tensor:
        f, rows = visit.trainable.objective(None, seed=visit.seed), []
        for path, point in zip(visit.paths, visit.theta, strict=True):
            generators = [stream(visit.seed, f"redraws {path} {visit.step}", block, point.device) for block in range(self.redraws)]
            fresh = Batches(visit.batches.n, visit.batches.size, visit.batches.sampling, generators)
            copies, batch = point.expand(self.redraws, -1), fresh.at(0)
            masks = visit.trainable.draw(copies, visit.batches.size, generators)
            after, _ = visit.optimiser.step(copies, torch.zeros_like(copies), partial(visit.trainable.grad, batch=batch, masks=masks))
            with torch.no_grad():
                losses = torch.cat([f.loss(part) for part in after.split(max(1, 40_000 // f.n))])
                rows.append((losses - f.loss(point[None])).sort().values)
        return torch.stack(rows)


@dataclass(frozen=True)
class StepAngle(Recorder):
    """The mean cosine of the angle between consecutive steps since the last recorded step (NaN at the start)."""

    def measure(self, visit: Visit) -> Tensor:
        return visit.cosine


def _check_samples(samples: int | None) -> None:
    if samples is not None:
        _check_count(samples, "samples", 1)


def _check_count(count: int, name: str, least: int) -> None:
    if not is_whole(count, least):
        raise InputError(f"{name} = {count!r:.200}; wanted an integer ≥ {least}{', for a standard error' if least > 1 else ''}.")


def _signed(f: Objective, point: Tensor, vectors: int, seed: int) -> Tensor:
    """vᵀHv for random signs v."""
    v = 2.0 * torch.randint(2, (vectors, point.shape[0]), generator=stream(seed, "signs", device=point.device), device=point.device).to(point) - 1
    return _quadratic_form(f, point, v)


def _aligned(f: Objective, point: Tensor, vectors: int, seed: int) -> Tensor:
    """uᵀHu for u = Rz of single samples' noise."""
    if f.n < 2:
        raise InputError(f"n = {f.n} samples; wanted at least 2: the gradient of all samples has no noise.")
    z = torch.randn(vectors, f.n, generator=stream(seed, "noise", device=point.device), device=point.device, dtype=point.dtype)
    weights = ((z - z.mean(1, keepdim=True)) / f.n**0.5).split(max(1, 40_000 // f.n))
    return _quadratic_form(f, point, torch.cat([weighted_grad(f, point.expand(len(part), -1), part, None) for part in weights]))


def _quadratic_form(f: Objective, point: Tensor, rows: Float[Tensor, "k dim"]) -> Float[Tensor, " k"]:
    """vᵀHv for each row v."""
    return torch.cat([(part * hvp(f, point[None], part[None])[0]).sum(1) for part in rows.split(max(1, 40_000 // f.n))])


def _mean(values: Tensor) -> Tensor:
    """(mean, standard error)."""
    return torch.stack([values.mean(), values.std() / values.numel() ** 0.5])


def _mean_square(f: Objective, point: Tensor) -> Tensor:
    if f.facts.sample_grads is None:
        return (sample_grads(f, point[None])[0] ** 2).sum(1).mean()
    indices = torch.arange(f.n, device=point.device)
    return sum((sample_grads(f, point[None], part[None]) ** 2).sum() for part in indices.split(max(1, _ELEMENTS // f.dim))) / f.n  # type: ignore[return-value]
