"""A kernel whose tick is one substep of an integrator, for monitors that look between the ticks of η."""

from __future__ import annotations

from torch import Generator, Tensor

from sgdsde.kernel import Kernel, State
from sgdsde.kernels.integrator import Integrator
from sgdsde.objective import like
from sgdsde.region import Bordered, Region
from sgdsde.rng import normals
from sgdsde.types import Conventions, InputError


class Substeps(Kernel):
    """One step dt of ``integrator`` a tick."""

    def __init__(self, integrator: Integrator) -> None:
        self.integrator, self.sde = integrator, integrator.sde
        self.dim, self.tick = integrator.dim, integrator.dt
        affine = integrator.sde.affine()
        self._Q = None if affine is None else affine[2]

    def init(self, theta: Tensor, generator: Generator) -> State:
        return self.integrator.init(theta, generator)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        dw = normals(state.theta, self.integrator.noise_dim, generator, self.tick**0.5)
        return State(self.integrator.step(state.theta, k * self.tick, dw))

    def variance(self, region: Bordered, theta: Tensor) -> Tensor:
        """nᵀQn across each face, ``[P, F]``."""
        n = region.normals(theta)  # [paths, faces, dim]
        if self._Q is not None:
            return ((n @ like(self._Q, theta)) * n).sum(2)
        Q = self.sde.diffusion(0.0, theta)
        return Q[:, :, 0] * n[:, :, 0] ** 2 if self.dim == 1 else ((n @ Q) * n).sum(2)

    @property
    def width(self) -> int:
        return self.integrator.width

    def check(self, theta: Tensor) -> None:
        self.integrator.check(theta)

    def conventions(self) -> Conventions:
        return self.integrator.conventions()


def between_ticks(kernel: Kernel, region: Region, monitor: str) -> Substeps:
    """The kernel's substeps, for a monitor that needs an SDE and a border.

    Raises:
        InputError: the kernel is no integrator of an SDE, or the region has no border.
    """
    if not isinstance(kernel, Integrator):
        raise InputError(
            f"monitor={monitor!r} watches an SDE between its steps; {type(kernel).__name__} has no path between iterates (or does not show it). "
            "Use monitor='iterates', or an EulerMaruyama or Heun kernel of an SDE."
        )
    if not isinstance(region, Bordered):
        raise InputError(
            f"monitor={monitor!r} needs distances to a border; {type(region).__name__} has none. "
            "Use a sg.regions shape, or sg.regions.Positive(function) for a function with a sign."
        )
    return Substeps(kernel)
