"""What the integrators of SDEs share: the tick, the substeps, the affine step of linear SDEs, and the domain check before a run."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

from torch import Generator, Tensor

from sgdsde.kernel import DrivenKernel, State, substeps_in
from sgdsde.kernels.linear import AffineStep
from sgdsde.sde import SDE, as_sde
from sgdsde.sdes.hasme import HASME
from sgdsde.sdes.sme1 import SME1
from sgdsde.types import Conventions, DomainError, InputError, positive, report_worst, tallying


class Integrator(DrivenKernel):
    """A one-step method for dX = b dt + D dW with step dt; the tick is the SDE's η, or dt where it has none."""

    def __init__(self, sde: SDE, dt: float) -> None:
        self.sde = as_sde(sde)
        self.dim = sde.dim
        self.noise_dim = sde.noise_dim
        self.tick = sde.eta if sde.eta is not None else positive(dt, "dt")
        self.substeps = substeps_in(self.tick, dt)
        self._linear: AffineStep | None = None

    @classmethod
    def examples(cls) -> list[Self]:
        """SME-1 and HA-SME on quadratics, four and one steps a tick; the models are linear, so that every integrator takes them."""
        return [cls(SME1.examples()[0], 0.1), cls(HASME.examples()[0], 0.4), cls(HASME.examples()[1], 0.075)]

    @abstractmethod
    def affine_step(self) -> AffineStep | None:
        """The step as an affine map where the SDE is linear with constant diffusion, else None."""

    @abstractmethod
    def model_step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        """The step through the model's own drift and diffusion."""

    def prepare(self) -> None:
        """Precompute the affine step, after ``check`` has let the run begin; a block of paths begins here."""
        self.sde.begin()
        if self._linear is None:
            self._linear = self.affine_step()

    def init(self, theta: Tensor, generator: Generator) -> State:
        self.prepare()
        return State(theta)

    def step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        return self.model_step(theta, t, dw) if self._linear is None else self._linear(theta, dw)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        theta = state.theta
        for j in range(self.substeps):
            theta = self.step(theta, (k + j / self.substeps) * self.tick, self.draw(theta, generator))
        return State(theta)

    @property
    def width(self) -> int:
        return max(self.dim, self.noise_dim) if self._linear is not None or self.sde.affine() is not None else self.sde.width

    def check(self, theta: Tensor) -> None:
        refuse_start(self.sde, theta)

    def conventions(self) -> Conventions:
        return self.sde.conventions()


def refuse_start(sde: SDE, theta: Tensor) -> None:
    """Refuse a run that cannot begin: what the model's own ``check`` says, and start points (the first 64 are looked at) where it does not exist.

    Raises:
        InputError: its drift or its noise has another shape than the points.
        DomainError: the model exists at none of these start points.
    """
    sde.check(theta)
    probe = theta[:64]
    with tallying() as tally:
        terms = sde.terms(0.0, probe, probe.new_zeros(probe.shape[0], sde.noise_dim))
    for name, term in zip(("drift", "diffuse"), terms, strict=True):
        if term.shape != probe.shape:
            raise InputError(
                f"{type(sde).__name__}.{name} returned shape {tuple(term.shape)} for points {tuple(probe.shape)} and increments "
                f"({probe.shape[0]}, {sde.noise_dim}); wanted {tuple(probe.shape)}."
            )
    for name, value in tally.worst.items():
        report_worst(name, value)  # what holds everywhere is seen here and perhaps never again: integrators of linear models evaluate them once
    if tally.flagged is not None and bool(tally.flagged.all()):
        reasons = ", ".join(f"{name}: {count}" for name, count in sorted(tally.counts.items()))
        raise DomainError(
            f"{type(sde).__name__} exists at none of the first {probe.shape[0]} start points ({reasons}). Start elsewhere, use a smaller eta, "
            "or name another policy (log='clip', psd='project') or model."
        )
