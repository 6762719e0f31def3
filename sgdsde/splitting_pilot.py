"""The plan of a splitting run, from a pilot on a stream of its own: where home is, how long paths forget, and levels that one path in five passes.

Levels that are fixed before the replicas run leave the estimate unbiased; the pilot's own numbers are thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.region import Region
from sgdsde.splitting_clock import clock_of
from sgdsde.splitting_trials import Walkers, put_back, run_home, run_trials
from sgdsde.types import DomainError

#: the share of trials that should pass each level
_PASS = 0.2
_MAX_LEVELS = 200
_FIRST_TICKS, _MAX_TICKS = 256, 2**17
_PILOT_PATHS = 128
#: multiples of the memory (twice the relaxation time) that paths settle for
_SETTLE = 5
#: a piece then carries a quarter of the tick's noise
_MAX_PIECES = 16


@dataclass(frozen=True)
class Plan:
    """Pieces of a tick, home {score ≤ home}, the levels' scores, ticks of burn-in and of watching at home, and the pilot's path-ticks."""

    pieces: int
    home: float
    levels: tuple[float, ...]
    burn_in: int
    watch: int
    cost: float


@dataclass(frozen=True)
class Ground:
    """What is to be left, by whom, and how progress is measured."""

    kernel: Kernel
    region: Region
    score: Callable[[Tensor], Tensor]
    start: Tensor

    def walkers(self, pieces: int) -> Walkers:
        """Paths on it, with ticks in ``pieces``."""
        return Walkers(clock_of(self.kernel, pieces), self.region, self.score, self.start)


def explore(ground: Ground, particles: int, generator: Generator) -> Plan:
    """Run the pilot.

    Raises:
        DomainError: paths do not settle at home, or the levels do not reach the exit.
    """
    history, memory, cost = _settle(ground.walkers(1), generator)
    # the exit's last tick takes a push of 2a = 2xR/s noise widths; at R = 6 stationary widths 4a² = 72x, and the memory is about 2/x ticks
    walkers = ground.walkers(min(_MAX_PIECES, math.ceil(2 * 72 / memory)))
    pieces = walkers.clock.pieces
    settled = history[len(history) // 4 :]
    home = max(float(np.quantile(settled, 0.5)), float(walkers.score(walkers.start)[0]))
    first = float(np.quantile(settled, 0.95))
    if not first > home:
        raise DomainError("The score does not vary at home (or the start scores higher than the paths around it); start at the minimum, or give another score.")
    settle = _SETTLE * memory
    at_home = run_home(ground.walkers(1), walkers, particles, Plan(pieces, home, (first,), settle, settle, cost), generator)
    # as many crossings as particles, so that the flux is known as well as the chances
    watch = max(settle, math.ceil(1 / max(at_home.flux, 1e-9)))
    states, out, cost = at_home.crossings, at_home.out, cost + at_home.cost
    levels = [first]
    while len(levels) < _MAX_LEVELS:
        picks = torch.randint(out.numel(), (particles,), generator=generator, device=out.device)
        trial = run_trials(walkers, states.take(picks), out[picks], math.inf, home, generator)
        cost += trial.cost
        if float(trial.passed.to(torch.float64).mean()) >= _PASS:
            return Plan(pieces, home, tuple(levels), settle, watch, cost)
        level = float(torch.where(trial.passed, torch.inf, trial.highest).quantile(1 - _PASS))
        if not level > levels[-1]:
            raise DomainError(f"The levels stall at score {levels[-1]:.4g}: trials come home without getting on. Give more particles or another score.")
        again = run_trials(walkers, states.take(picks), out[picks], level, home, generator)
        cost += again.cost
        rows = torch.nonzero(again.passed)[:, 0]
        if rows.numel() == 0:
            raise DomainError(f"No trial passed the score {level:.4g}; give more particles.")
        states, out = again.states.take(rows), again.out[rows]
        levels.append(level)
    raise DomainError(f"{_MAX_LEVELS} levels do not reach the exit; the score does not grow on the way out.")


def _settle(walkers: Walkers, generator: Generator) -> tuple[np.ndarray, int, float]:
    """Scores ``[ticks, paths]`` at home, and the ticks over which they forget (integrated autocorrelation); longer until it covers fifty of these."""
    state = walkers.begin(_PILOT_PATHS, generator)
    rows: list[Tensor] = []
    wanted = _FIRST_TICKS
    while True:
        while len(rows) < wanted:
            for _ in range(walkers.clock.pieces):
                state, score, out = walkers.move(state, generator)
            if bool(out.any()):
                state = put_back(walkers, state, out, generator)
                score = walkers.score(state.theta)
            rows.append(score.to(torch.float64).cpu())
        history = torch.stack(rows).numpy()
        memory = _memory(history[len(history) // 4 :])
        if 50 * memory <= len(rows):
            return history, memory, float(len(rows) * _PILOT_PATHS)
        if wanted >= _MAX_TICKS:
            raise DomainError(f"Paths at home still remember their past after {memory} ticks; splitting needs a region in which they settle fast.")
        wanted *= 2


def _memory(history: np.ndarray) -> int:
    """1 + 2Σρ(lag) up to the first lag with ρ < .05, in ticks."""
    centred = history - history.mean()
    size = 2 * len(history)
    power = np.abs(np.fft.rfft(centred, n=size, axis=0)) ** 2
    covariance = np.fft.irfft(power, n=size, axis=0)[: len(history)].mean(1) / np.arange(len(history), 0, -1)
    rho = covariance / max(covariance[0], 1e-300)
    end = int(np.argmax(rho < 0.05)) if (rho < 0.05).any() else len(rho)
    return max(1, math.ceil(1 + 2 * rho[1:end].sum()))
