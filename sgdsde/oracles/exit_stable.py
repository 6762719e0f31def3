"""Exit of SGD with symmetric α-stable noise from an interval, without Monte Carlo; and what heavy tails make of it.

θ⁺ = θ − ηg − ηγζ has the smooth transition density h((y − θ + ηg)/(ηγ))/(ηγ): Nyström's method on Gauss–Legendre panels, as for Gaussian noise. For
ηγ small against the distances a, b to the ends one jump does it (Imkeller, Pavlyukevich, Stoch. Proc. Appl. 116, 2006): from a minimum whose basin
under gradient descent holds the interval

    Eτ/η → 1/P(θ* − ηγζ outside) → (π/(Γ(α)sin(πα/2)))·((ηγ)^{−α})/(a^{−α} + b^{−α}),

a power of the width, whatever the height of the barrier.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from sgdsde.calculus import grad
from sgdsde.noises.stable import SymmetricStable
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.killed_chain import KilledChain
from sgdsde.oracles.panels import edges, gauss
from sgdsde.oracles.stable_density import stable_density
from sgdsde.regions.interval import Interval
from sgdsde.types import InputError, OracleRefusal, positive

Array = np.ndarray
MAX_PANELS = 130
#: panel width in units of ηγ (seen through the slope of the step, where that is above 2)
_WIDTH = 3.0
_ORDERS = (10, 13)


def stable_mean_exit(noise: SymmetricStable, eta: float, start: float, interval: Interval, *, tolerance: float = 1e-6) -> ExitLaw:
    """The exit law of SGD with α-stable noise on the line, watched at iterates.

    Raises:
        OracleRefusal: an end is infinite (a heavy-tailed law has no reach at which a half-line could be cut), α < 0.8, or the grid cannot resolve the noise.
    """
    what = f"SGD with eta = {eta:g}, {noise.conventions().sampling}"
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        raise OracleRefusal(f"{what}: the interval must be finite; a heavy-tailed law jumps to any distance, so that a half-line cannot be cut.")
    coarse, chain = (_chain(noise, eta, start, interval, order, what) for order in _ORDERS)
    mean, below, above = chain.start()
    error = abs(coarse.start()[0] / mean - 1)
    if not error <= tolerance:
        raise OracleRefusal(f"{what}: two grids differ by {error:.1e}; wanted {tolerance:.1e}. Take a larger step or noise, or simulate.")
    return ExitLaw(mean * eta, eta, {-1: below, 1: above}, error, chain)


def _chain(noise: SymmetricStable, eta: float, start: float, interval: Interval, order: int, what: str) -> KilledChain:
    law, s = stable_density(noise.alpha), eta * float(noise.scale[0])

    def mean_of(x: Array) -> Array:
        theta = torch.from_numpy(np.ascontiguousarray(x[:, None]))
        return x - eta * grad(noise.objective, theta)[:, 0].numpy()

    def panel(x: Array) -> Array:
        return _WIDTH * s / np.maximum(1.0, np.abs(np.gradient(mean_of(x), x)) / 2)

    x, w = gauss(edges(interval.low, interval.high, panel, limit=MAX_PANELS, what=what), order)
    mean = mean_of(np.append(x, start))
    rows = law.density((x - mean[:, None]) / s) * w / s  # [N+1, N]
    exits = np.column_stack([law.tail((mean - interval.low) / s), law.tail((interval.high - mean) / s)])
    defect = float(np.abs(rows.sum(1) + exits.sum(1) - 1).max())
    if defect > 1e-7:
        raise OracleRefusal(f"{what}: the grid loses {defect:.1e} of the probability of a step; the interval has structure finer than the noise.")
    return KilledChain(rows[:-1], exits[:-1], rows[-1], exits[-1], eta)


def stable_exit_steps(alpha: float, noise: float, below: float, above: float) -> float:
    """The small-noise limit of Eτ/η from a minimum at distances ``below`` and ``above`` from the ends, noise = ηγ.

    Raises:
        InputError: α outside (0, 2), or a number that is not positive.

    Example:
        >>> two = sg.oracles.stable_exit_steps(1.5, 0.01, 2.0, 2.0)
        >>> round(two / sg.oracles.stable_exit_steps(1.5, 0.01, 1.0, 1.0), 6)  # a power of the distance: 2^1.5
        2.828427
    """
    if not 0 < alpha < 2:
        raise InputError(f"alpha = {alpha}; wanted 0 < alpha < 2.")
    a, b = (positive(r, name) / positive(noise, "noise") for r, name in ((below, "below"), (above, "above")))
    return math.pi / (math.gamma(alpha) * math.sin(math.pi * alpha / 2)) / (a**-alpha + b**-alpha)
