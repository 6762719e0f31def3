"""SVAG (Li, Malladi, Arora, arXiv 2102.12470): steps of η/l with noise amplified to keep SME-1's diffusion as l → ∞.

θ⁺ = θ − (η/l)·[½(1+√(2l−1))·ĝ₁ + ½(1−√(2l−1))·ĝ₂], two independent stochastic gradients; its noise covariance is lΣ, so that l steps
add up to η²Σ like one step of SGD. One tick of SDE time η is l steps; l = 1 is SGD.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.kernel import State
from sgdsde.kernels.draws import DrawnKernel, Draws
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import Noise, as_noise
from sgdsde.noises.gaussian import Gaussian
from sgdsde.noises.minibatch import Minibatch
from sgdsde.types import Conventions, InputError


class SVAG(DrawnKernel):
    """SVAG with amplification ``l`` ≥ 1.

    Raises:
        InputError: η ≤ 0, or l is no integer ≥ 1.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> svag = sg.kernels.SVAG(noise, 0.5, 4)
        >>> round(sg.oracles.stationary_covariance(svag).item(), 6)  # η/(2 − η/l), towards SME-1's η/2
        0.266667
    """

    def __init__(self, noise: Noise, eta: float, l: int) -> None:  # noqa: E741 - the paper's symbol
        if not is_whole(l, 1):
            raise InputError(f"l = {l!r}; wanted an integer ≥ 1 (l = 1 is SGD).")
        self.noise, self.l = as_noise(noise), int(l)
        self.draws = 2 * self.l
        self._plain = SGD(noise, eta)
        self.tick = self.eta = self._plain.eta
        self.dim = noise.objective.dim

    @classmethod
    def examples(cls) -> list[Self]:
        """SGD itself (l = 1), and amplifications of Gaussian and minibatch noise."""
        return [cls(Gaussian.examples()[0], 0.4, 1), cls(Gaussian.examples()[0], 0.4, 3), cls(Minibatch.examples()[1], 0.1, 2)]

    @property
    def width(self) -> int:
        return self._plain.width  # its draws are made one after the other

    def move(self, state: State, k: int, draws: Draws) -> State:
        theta, root = state.theta, (2 * self.l - 1) ** 0.5
        for i in range(self.l):
            first, second = (draws.gradient(self.noise, theta, k, j) for j in (2 * i, 2 * i + 1))
            theta = theta - (self.eta / self.l) * ((1 + root) / 2 * first + (1 - root) / 2 * second)
        return State(theta)

    def check(self, theta: Tensor) -> None:
        self._plain.check(theta)

    def conventions(self) -> Conventions:
        return replace(self.noise.conventions(), eta=self.eta, sampling=f"SVAG l={self.l}, {self.noise.conventions().sampling}")
