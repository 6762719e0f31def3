"""torchsde as a kernel: ``torchsde.sdeint`` over whole save intervals, on a Brownian motion that streams from the block's generator.

Time is handed to torchsde in units of the step: dX = b·dt ds + D·√dt dB_s on s = 0, 1, …, ticks·substeps. So its float-summed clock is exact, the
number of steps is what it should be (and is verified), and SDE time is rebuilt from integers. Each step asks the Brownian motion once for its
increment W over [s, s+1] and, for ``srk``, for U = ∫(B_r − B_s)dr = W/2 + N(0, 1/12); nothing is cached. Adaptive steps are not offered.

Methods, on dX = b dt + D dW (Itô): ``euler``, weak order 1, any D; for additive noise, where Itô and Stratonovich agree, ``srk`` (Rößler 2010, SRA1, strong
order 1.5, weak order 2), ``heun`` and ``midpoint`` (weak order 2). torchsde's Milstein needs D element by element and is wrong for scalar noise in
more than one dimension.
"""

from __future__ import annotations

from typing import Any, Self

import torch
import torchsde
from torch import Generator, Tensor

from sgdsde.given import is_name
from sgdsde.kernel import Kernel, State, substeps_in
from sgdsde.kernels.integrator import refuse_start
from sgdsde.rng import normals
from sgdsde.sde import SDE, as_sde
from sgdsde.sdes.hasme import HASME
from sgdsde.sdes.sme1 import SME1
from sgdsde.types import Conventions, InputError, positive, suggest

#: method -> (torchsde's calculus, whether the noise must be additive)
METHODS = {"euler": ("ito", False), "srk": ("ito", True), "heun": ("stratonovich", True), "midpoint": ("stratonovich", True)}


class TorchSDE(Kernel):
    """torchsde's solver ``method`` with step ``dt``, which divides the tick (the SDE's η, or dt where it has none).

    Raises:
        InputError: unknown method, one that needs additive noise for an SDE without, or a dt that does not divide the tick.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
        >>> kernel = sg.kernels.TorchSDE(sg.sdes.SME1(noise, 0.1), 0.05, "srk")
        >>> sg.simulate(kernel, [-1.3], horizon=0.2, paths=3, seed=1).states.shape
        torch.Size([1, 3, 1])
    """

    leaps = True

    def __init__(self, sde: SDE, dt: float, method: str = "srk") -> None:
        if not is_name(method, METHODS):
            raise InputError(f"method={method!r} is no torchsde method that this kernel offers." + suggest(method, list(METHODS)))
        if METHODS[method][1] and not as_sde(sde).additive:
            raise InputError(
                f"torchsde's {method} is right for additive noise only, and the diffusion of {type(sde).__name__} depends on the state here. "
                "Use method='euler', or sg.kernels.Heun."
            )
        self.sde, self.method = as_sde(sde), method
        self.dim = sde.dim
        self.tick = sde.eta if sde.eta is not None else positive(dt, "dt")
        self.substeps = substeps_in(self.tick, dt)

    @classmethod
    def examples(cls) -> list[Self]:
        """Every method on SME-1's saddle, srk on HA-SME, euler where the noise depends on the state."""
        linear = [cls(SME1.examples()[0], 0.1, method) for method in METHODS]
        return [*linear, cls(HASME.examples()[0], 0.1), cls(SME1.examples()[3], 0.025, "euler")]

    def init(self, theta: Tensor, generator: Generator) -> State:
        self.sde.begin()
        return State(theta)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        return self.leap(state, k, 1, generator)

    def leap(self, state: State, k: int, ticks: int, generator: Generator) -> State:
        """One call of ``sdeint`` over ``ticks`` ticks."""
        theta, steps = state.theta, ticks * self.substeps
        motion = _StreamingMotion(theta, self.sde.noise_dim, generator)
        problem = _InSteps(self.sde, motion, *METHODS[self.method], tick=self.tick, substeps=self.substeps, first=k)
        span = torch.tensor([0.0, float(steps)], dtype=torch.float64)
        # sdeint's check of its arguments draws from the global stream, which is not ours to move
        with torch.no_grad(), torch.random.fork_rng(devices=[theta.device] if theta.is_cuda else []):
            end = torchsde.sdeint(problem, theta, span, bm=motion, method=self.method, dt=1.0)[-1]
        if motion.position != steps:
            raise RuntimeError(f"torchsde took {motion.position} steps where {steps} were asked for.")
        return State(end)

    @property
    def width(self) -> int:
        return self.sde.width

    def check(self, theta: Tensor) -> None:
        refuse_start(self.sde, theta)

    def conventions(self) -> Conventions:
        return self.sde.conventions()


class _StreamingMotion(torchsde.BaseBrownian):
    """A Brownian motion on the grid 0, 1, 2, … that is asked once for each cell, in order, and draws it then."""

    def __init__(self, like: Tensor, noise_dim: int, generator: Generator) -> None:
        self._like, self._noise_dim, self._generator = like, noise_dim, generator
        self.position = 0

    def __call__(self, ta: Any, tb: Any = None, return_U: bool = False, return_A: bool = False) -> Any:
        if return_A or tb is None or float(ta) != self.position or float(tb) != self.position + 1:
            raise RuntimeError(f"torchsde asked for the motion over [{ta}, {tb}] where the cell after {self.position} is next.")
        self.position += 1
        W = normals(self._like, self._noise_dim, self._generator)
        return (W, W / 2 + normals(self._like, self._noise_dim, self._generator, 12**-0.5)) if return_U else W

    def __repr__(self) -> str:
        return f"_StreamingMotion(position={self.position})"

    @property
    def dtype(self) -> torch.dtype:
        return self._like.dtype

    @property
    def device(self) -> torch.device:
        return self._like.device

    @property
    def shape(self) -> tuple[int, int]:
        return (self._like.shape[0], self._noise_dim)

    @property
    def levy_area_approximation(self) -> str:
        return "space-time"


class _InSteps:
    """An SDE as torchsde wants it, its time in steps counted from tick ``first``: f = b·dt, g = D·√dt."""

    def __init__(self, sde: SDE, motion: _StreamingMotion, calculus: str, additive: bool, *, tick: float, substeps: int, first: int) -> None:
        self.sde_type = calculus
        self.noise_type = "additive" if additive else "general"
        self._sde, self._motion = sde, motion
        self._tick, self._substeps, self._first = tick, substeps, first
        self._dt = tick / substeps

    def f(self, s: Any, x: Tensor) -> Tensor:
        return torch.zeros_like(x) if self._asked_for_shapes else self._sde.drift(self._time(s), x) * self._dt

    def g_prod(self, s: Any, x: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(x) if self._asked_for_shapes else self._sde.diffuse(self._time(s), x, v) * self._dt**0.5

    def f_and_g_prod(self, s: Any, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if self._asked_for_shapes:
            return torch.zeros_like(x), torch.zeros_like(x)
        drift, noise = self._sde.terms(self._time(s), x, v)
        return drift * self._dt, noise * self._dt**0.5

    @property
    def _asked_for_shapes(self) -> bool:
        """Before its first step sdeint evaluates everything once and looks at the shapes; models count their evaluations, so these are none."""
        return self._motion.position == 0

    def _time(self, s: Any) -> float:
        return (self._first + float(s) / self._substeps) * self._tick
