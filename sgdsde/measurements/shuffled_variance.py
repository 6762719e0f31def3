"""The stationary variance of SGD with epoch shuffling over that of SGD with batches drawn independently, by x = ηλ: exactly and from paths.

Without replacement the batch noises of an epoch add up to zero, so that a direction which forgets slowly (x·n/B ≪ 1) is hardly shaken. Formulas, one
direction, m = 1 − x, n samples in batches of B, p steps into an epoch of e = n/B, in units of η²C: N_p = n/(n−1)·[S_p/B − T_p²/n], S_p = Σ_{j<p}m²ʲ,
T_p = Σ_{j<p}mʲ; V_0 = N_e/(1 − m²ᵉ), V_p = m²ᵖV_0 + N_p; independent batches 1/(B(1−m²)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, ShuffledSGD
from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Minibatch
from sgdsde.objectives import SharedCurvature
from sgdsde.oracles import shuffled_stationary_covariance, stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

ETA = 0.1
#: epochs before anything is averaged, from the start at the minimum, and epochs averaged
BURN_IN, AVERAGED = 4, 2


def variance_ratios(x: float, samples: int, batch: int) -> tuple[float, float]:
    """(mean over the positions of the epoch, at its end), each over that of independent batches; by summation."""
    m, epoch = 1 - x, samples // batch
    p = np.arange(epoch + 1)
    S, T = np.concatenate([[0.0], np.cumsum(m ** (2 * p[:-1]))]), np.concatenate([[0.0], np.cumsum(m ** p[:-1])])
    N = samples / (samples - 1) * (S / batch - T**2 / samples)
    V = m ** (2 * p) * (N[-1] / (1 - m ** (2 * epoch))) + N
    independent = 1 / (batch * (1 - m**2))
    return float(V[:-1].mean() / independent), float(V[0] / independent)


def exact_ratios(*, seed: int, level: float, cases: Mapping[str, tuple[Sequence[float], int, int]]) -> Measured:
    """For each case ``name: (xs, samples, batch)``: ``name/x/mean`` over the positions of the epoch and ``name/x/end``."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    panels = []
    for name, (xs, samples, batch) in cases.items():
        objective = _objective(rng, xs, samples)
        shuffled = shuffled_stationary_covariance(objective, batch, ETA).diagonal(dim1=1, dim2=2)  # [epoch, dim]
        independent = stationary_covariance(Minibatch(objective, batch), ETA).diagonal()
        ratios = (shuffled / independent).numpy()
        for i, x in enumerate(xs):
            estimates[f"{name}/{x:.4g}/mean"] = exactly(ratios[:, i].mean(), 1e-11)
            estimates[f"{name}/{x:.4g}/end"] = exactly(ratios[0, i], 1e-11)
        position = np.arange(len(ratios)) / len(ratios)
        series = tuple(Series(f"x{i}", f"x = {x:.3g}", position, ratios[:, i]) for i, x in enumerate(xs))
        panels.append(Panel(f"Shuffled over independent batches, {name}", "position in the epoch", "variance ratio", series, log="y", level=1.0))
    return Measured(estimates, panels=tuple(panels[:1]), conventions=f"batches of a fresh permutation each epoch, float64, eta={ETA}")


def simulated_ratios(*, seed: int, level: float, xs: Sequence[float], samples: int, paths: int) -> Measured:
    """Batches of one: ``process/x/mean`` and ``process/x/end`` for ``shuffled`` and ``independent``, over the exact variance of independent batches."""
    objective = _objective(np.random.default_rng(3), xs, samples)
    exact = stationary_covariance(Minibatch(objective, 1), ETA).diagonal()
    processes: dict[str, Kernel] = {"shuffled": ShuffledSGD(objective, 1, ETA), "independent": SGD(Minibatch(objective, 1), ETA)}
    estimates: dict[str, Estimate] = {}
    marks = range(BURN_IN * samples, (BURN_IN + AVERAGED) * samples)
    for offset, (process, kernel) in enumerate(processes.items()):
        times = [k * ETA for k in marks]
        run = simulate(kernel, objective.mean.center, horizon=times[-1], save=times, paths=paths, seed=seed + offset, progress=False)
        squares = ((run.states - objective.mean.center) ** 2 / exact).numpy()  # [times, paths, dim]
        for i, x in enumerate(xs):
            estimates[f"{process}/{x:.4g}/mean"] = mean_estimate(squares[:, :, i].mean(0), level=level)
            estimates[f"{process}/{x:.4g}/end"] = mean_estimate(squares[::samples, :, i].mean(0), level=level)
    note = f"{paths} paths from the minimum, {AVERAGED} epochs each after {BURN_IN}"
    return Measured(estimates, notes=(note,), conventions=str(processes["shuffled"].conventions()))


def _objective(rng: np.random.Generator, xs: Sequence[float], samples: int) -> SharedCurvature:
    """One axis per x; skewed centers."""
    return SharedCurvature(np.diag(np.asarray(xs) / ETA), rng.standard_exponential((samples, len(xs))))
