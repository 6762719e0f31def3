"""One SDE under three monitors: HA-SME's mean exit from a quadratic minimum over SGD's against a = xR/s, looked at iterates, by bridges, with a shifted border.

Units η = σ = 1: x = ηλ, R in s = ησ. The border stands at c stationary standard deviations of SGD, so that a² = c²x/(2 − x), x = 2a²/(c² + a²). Paths are exact
steps of the linear SDE over dt = η/substeps, so that nothing but the watch differs. Lines: the continuous oracle (scale function), at the border and at the
border moved outward by .5826·√(Qη); SGD by Nyström's method. On iterates HA-SME's law is SGD's.

Second panel: the error of continuous watches made from looks at dt, over the continuous oracle: none (oracle), bridge, border shifted inward by .5826·√(Q dt).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.optimize

import sgdsde as sg
from sgdsde.measurements.interval_exits import CONTINUOUS, ITERATES, MODELS, SHIFTED, law_of, noise_at
from sgdsde.measurements.interval_paths import over
from sgdsde.oracles import overshoot_factor, skeleton_mean_exit
from sgdsde.plots import Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.regions import Ball, Interval
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, suggest

#: monitor → (legend, look)
MONITORS = {
    "iterates": ("at iterates t = kη", "SGD"),
    "bridge": ("bridge: continuous", "SME2"),
    "shift": ("border moved inward: continuous", "HASME"),
    "shift outward": ("border moved outward: predicts iterates", "SME1"),
}
#: a watch works where its mean exit is within this of SGD's
WORKS = 0.05
#: plain simulation of longer mean exits, or of smaller x, is not what this study is for
LONGEST, SMALLEST = 20_000.0, 1e-4


@dataclass(frozen=True)
class Config(StudyConfig):
    """Which SDE, which borders, how finely its paths are seen."""

    model: str = option("HASME", f"the SDE that is watched: {', '.join(MODELS)}")
    a: tuple[float, ...] = option((0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 1.9, 2.2), "values of a = xR/s, drift over noise in a tick at the border", above=0, high=5)
    width: float = option(2.4, "c: the border in stationary standard deviations of SGD; every a must be smaller", low=1, high=6)
    substeps: int = option(16, "looks between two iterates", low=1, high=1000)
    ladder_a: float = option(1.0, "the a of the second panel", above=0, high=5)
    ladder: tuple[int, ...] = option((1, 2, 4, 8, 16, 32), "substeps of the second panel", low=1, high=4096)


class EscapeMonitors(Study[Config]):
    """Mean exit steps, one cell for each a and monitor; and for each number of substeps and continuous monitor."""

    title = "Exits of one SDE under three monitors against a = xR/s"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4_096, "block_paths": 4_096, "substeps": 8, "ladder": (1, 2, 4, 8, 16)},
        "full": {"paths": 131_072, "block_paths": 16_384},
        "paper": {
            "paths": 1_048_576,
            "a": (0.25, 0.5, 0.75, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8),
            "width": 3.0,
            "substeps": 64,
            "ladder": (1, 2, 4, 8, 16, 32, 64),
        },
    }

    def check(self, config: Config) -> None:
        if config.model not in MODELS:
            raise InputError(f"model = {config.model!r} is not offered here." + suggest(config.model, list(MODELS)))
        if max(*config.a, config.ladder_a) >= config.width:
            raise InputError(f"a = {max(*config.a, config.ladder_a):g} needs x ≥ 1 at width {config.width:g}: x = 2a²/(c² + a²). Choose a < width.")
        if list(config.a) != sorted(config.a) or list(config.ladder) != sorted(config.ladder):
            raise InputError("a and ladder are axes; wanted ascending numbers.")
        slowest = min(*config.a, config.ladder_a)
        if _place(slowest, config.width)[0] < SMALLEST or _law(config, slowest, "SGD").steps > LONGEST:
            raise InputError(f"a = {slowest:g} at width {config.width:g}: SGD stays longer than {LONGEST:g} steps. Choose a larger a or a smaller width.")

    def cells(self, config: Config) -> Sequence[str]:
        first = [_label(monitor, a, config.substeps) for a in config.a for monitor in MONITORS]
        second = [_label(monitor, config.ladder_a, n) for n in config.ladder for monitor in ("bridge", "shift")]
        return list(dict.fromkeys(first + second))

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device=config.device, time="units of eta = 1")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        monitor, a, substeps = _parts(cell)
        x, distance = _place(a, config.width)
        kernel = sg.kernels.ExactOU(MODELS[config.model](noise_at(x), 1.0), 1.0 / substeps)
        horizon = math.ceil(40 * max(_law(config, a, watch).mean for watch in (ITERATES, CONTINUOUS, SHIFTED)) + 100)
        start = torch.zeros(1, dtype=torch.float64, device=config.device)
        region = Ball([0.0], distance)  # the interval (−R, R) with one face
        run = sg.exit_times(kernel, start, region=region, horizon=float(horizon), monitor=monitor, paths=paths, seed=seed, progress=False)
        times = torch.where(run.censored, torch.nan, run.times).cpu()
        return {"time": Moments.of(times)}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines: list[Line] = []
        series: list[Series] = []
        for monitor, (label, look) in MONITORS.items():
            found = []
            for a in config.a:
                cell = _label(monitor, a, config.substeps)
                found.append(over(cells[cell]["time"].mean_estimate(), _law(config, a, "SGD").mean))
                lines.append(Line(cell, "mean exit / SGD's exact", found[-1]))
            series.append(_points(look, label, np.array(config.a), found))
        axis = [float(a) for a in np.linspace(min(config.a), max(config.a), 60)]
        for watch, look in ((ITERATES, "SGD"), (CONTINUOUS, "SME2"), (SHIFTED, "SME1")):
            ratios = [_law(config, a, watch).mean / _law(config, a, "SGD").mean for a in axis]
            series.append(Series(look, "", np.array(axis), np.array(ratios)))
        theory = np.array([overshoot_factor(a) for a in axis])
        series.append(Series("GradientFlow", "continuous over iterates as η → 0", np.array(axis), theory))
        name = WRITTEN.get(config.model, config.model)
        first = Panel(f"{name}, border at {config.width:g} sd", "a = xR/s", "mean exit / SGD's", tuple(series), log="y", level=1.0)
        notes = tuple(_reach(config, watch, said) for watch, said in ((SHIFTED, "the border moved outward"), (CONTINUOUS, "watching continuously")))
        ladder, more = self._ladder(config, cells)
        return Summary(tuple(lines) + more, (first, ladder), notes)

    def _ladder(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> tuple[Panel, tuple[Line, ...]]:
        exact = _law(config, config.ladder_a, CONTINUOUS).mean
        x, distance = _place(config.ladder_a, config.width)
        sde, region = MODELS[config.model](noise_at(x), 1.0), Interval(-distance, distance)
        n = np.array(config.ladder, dtype=float)
        naive = np.array([skeleton_mean_exit(sde, 0.0, region, tick=1.0 / k).mean / exact for k in config.ladder])
        series = [Series("SGD", "looks at dt alone, exact", n, naive, kind="band")]
        lines = []
        for monitor in ("bridge", "shift"):
            look = MONITORS[monitor][1]
            found = []
            for k in config.ladder:
                cell = _label(monitor, config.ladder_a, k)
                found.append(over(cells[cell]["time"].mean_estimate(), exact))
                lines.append(Line(cell, "mean exit / continuous oracle", found[-1]))
            series.append(_points(look, "", n, found))
        title = f"Continuous watch from looks at dt, a = {config.ladder_a:g}"
        return Panel(title, "looks per tick, η/dt", "mean exit / continuous exact", tuple(series), log="xy", level=1.0), tuple(lines)


def _place(a: float, width: float) -> tuple[float, float]:
    """x and R/s at which the border is ``width`` stationary standard deviations away and drift over noise is a: sd² = 1/(x(2 − x))."""
    x = 2 * a**2 / (width**2 + a**2)
    return x, a / x


@lru_cache(maxsize=4096)
def _law(config: Config, a: float, watch: str) -> Any:
    x, distance = _place(a, config.width)
    model, watched = ("SGD", ITERATES) if watch == "SGD" else (config.model, watch)
    return law_of(model, watched, {"x": x, "low": -distance, "high": distance, "start": 0.0})


def _reach(config: Config, watch: str, said: str) -> str:
    """Up to which a the exact ratio is within WORKS of 1."""
    ends = (min(config.a) / 4, 0.999 * config.width)

    def miss(a: float) -> float:
        return abs(math.log(_law(config, a, watch).mean / _law(config, a, "SGD").mean)) - math.log1p(WORKS)

    if miss(ends[0]) > 0:
        return f"{said}: nowhere within {WORKS:.0%} of SGD from a = {ends[0]:.3g} on"
    if miss(ends[1]) < 0:
        return f"{said}: within {WORKS:.0%} of SGD for all a < {ends[1]:.3g}"
    return f"{said}: within {WORKS:.0%} of SGD up to a = {scipy.optimize.brentq(miss, *ends, xtol=1e-4):.3f}"


def _points(look: str, label: str, x: np.ndarray, found: Sequence[Estimate]) -> Series:
    value, low, high = (np.array([getattr(one, part) for one in found]) for part in ("value", "low", "high"))
    return Series(look, label, x, value, low, high, "points")


def _label(monitor: str, a: float, substeps: int) -> str:
    return f"{monitor.replace(' ', '-')} a={a!r} n={substeps}"


def _parts(cell: str) -> tuple[str, float, int]:
    monitor, a, substeps = cell.split(" ")
    return monitor.replace("-", " "), float(a.removeprefix("a=")), int(substeps.removeprefix("n="))


STUDY = EscapeMonitors()
