"""What the integrators of SDEs share: the tick, the substeps, and the domain check before a run."""

from __future__ import annotations

from torch import Generator, Tensor

from sgdsde.kernel import DrivenKernel, State, gaussian, substeps_in
from sgdsde.kernels.linear import LinearTerms
from sgdsde.sde import SDE
from sgdsde.types import Conventions, positive


class Integrator(DrivenKernel):
    """A one-step method for dX = b dt + D dW with step dt; the tick is the SDE's η, or dt where it has none."""

    def __init__(self, sde: SDE, dt: float) -> None:
        self.sde = sde
        self.dim = sde.dim
        self.noise_dim = sde.noise_dim
        self.tick = sde.eta if sde.eta is not None else positive(dt, "dt")
        self.substeps = substeps_in(self.tick, dt)
        self._linear: LinearTerms | None = None

    def init(self, theta: Tensor, generator: Generator) -> State:
        self.prepare()
        return State(theta)

    @property
    def width(self) -> int:
        return self.sde.width

    def prepare(self) -> None:
        """Precompute what a linear SDE allows."""
        if self._linear is None and self.sde.affine() is not None:
            self._linear = LinearTerms(self.sde)

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        """(b, D·dw)."""
        if self._linear is not None:
            return self._linear.drift(x), self._linear.diffuse(x, dw)
        return self.sde.terms(t, x, dw)

    def drift(self, t: float, x: Tensor) -> Tensor:
        """b alone."""
        return self._linear.drift(x) if self._linear is not None else self.sde.drift(t, x)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        theta, scale = state.theta, self.dt**0.5
        for j in range(self.substeps):
            dw = gaussian(theta, self.noise_dim, scale, generator)
            theta = self.step(theta, (k + j / self.substeps) * self.tick, dw)
        return State(theta)

    def check(self, theta: Tensor) -> None:
        self.sde.check(theta)

    def conventions(self) -> Conventions:
        return self.sde.conventions()
