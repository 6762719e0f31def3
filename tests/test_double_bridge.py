"""Two walls and a Brownian bridge: series against the spectral form, exit laws at steps as long as the strip is wide, mutants that take walls one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exit_problems import FALSE_ALARM, quadratic

import sgdsde as sg
from sgdsde.monitors import bridge
from sgdsde.monitors.double_bridge import first_wall, stays_clear
from sgdsde.regions import Box, Interval

PATHS = 40_000


def grid() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(y₀, y₁, v) with both ends inside a strip of width 1 and v from (1/6)² to 2²."""
    y = torch.linspace(0.03, 0.97, 12, dtype=torch.float64)
    v = torch.tensor([1 / 36, 0.1, 0.5, 1.0, 4.0], dtype=torch.float64)
    return tuple(part.reshape(-1) for part in torch.meshgrid(y, y, v, indexing="ij"))  # type: ignore[return-value]


def test_staying_between_the_walls_is_the_killed_heat_kernel() -> None:
    """1 − P_low − P_up = 2Σ sin(nπy₀)sin(nπy₁)e^{−n²π²v/2}/φ_v(y₁ − y₀): reflections against eigenfunctions."""
    y0, y1, v = grid()
    low, up = first_wall(y0, y1, torch.ones_like(v), v)
    n = torch.arange(1, 60, dtype=torch.float64)[:, None]
    killed = 2 * (torch.sin(n * math.pi * y0) * torch.sin(n * math.pi * y1) * torch.exp(-(n**2) * math.pi**2 * v / 2)).sum(0)
    free = torch.exp(-((y1 - y0) ** 2) / (2 * v)) / (2 * math.pi * v).sqrt()
    assert torch.allclose(1 - low - up, killed / free, atol=1e-11)
    assert bool((low >= 0).all())
    assert bool((up >= 0).all())


def test_the_wall_met_first_averages_to_the_side_of_an_exit() -> None:
    """Averaged over the end of the step, inside or beyond, P_low is the chance that Brownian motion has left through the lower wall by then; likewise P_up."""
    for y0, v in ((0.3, 0.2), (0.5, 1.0), (0.8, 0.05)):
        z, w = np.polynomial.legendre.leggauss(400)
        y1 = torch.from_numpy(y0 + 8 * math.sqrt(v) * z)
        weight = torch.from_numpy(w * 8 * math.sqrt(v)) * torch.exp(-((y1 - y0) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
        low, up = first_wall(torch.full_like(y1, y0), y1, torch.ones_like(y1), torch.full_like(y1, v))
        n = np.arange(1, 200)
        # P(exit below by v) = (1 − y₀) − Σ (2/(nπ)) sin(nπy₀) e^{−n²π²v/2}
        exact = (1 - y0) - float((2 / (n * math.pi) * np.sin(n * math.pi * y0) * np.exp(-(n**2) * math.pi**2 * v / 2)).sum())
        assert float((low * weight).sum()) == pytest.approx(exact, abs=2e-4)
        n_up = np.sin(n * math.pi * (1 - y0))
        above = y0 - float((2 / (n * math.pi) * n_up * np.exp(-(n**2) * math.pi**2 * v / 2)).sum())
        assert float((up * weight).sum()) == pytest.approx(above, abs=2e-4)


def test_far_walls_do_not_feel_each_other() -> None:
    y0 = torch.tensor([0.02, 0.5], dtype=torch.float64)
    v = torch.full_like(y0, 1e-3)
    low, up = first_wall(y0, y0, torch.ones_like(y0), v)
    assert float(low[0]) == pytest.approx(math.exp(-2 * 0.02**2 / 1e-3), rel=1e-12)
    assert float(up[0]) == 0.0
    assert torch.allclose(stays_clear(y0, torch.ones_like(y0), v), torch.ones_like(y0), atol=1e-12)


def exits(region: sg.Region, start: float, step: float = 1.0) -> tuple[float, float]:
    """(Kolmogorov's distance of exit times, error of P(exit below)) for Brownian motion out of (0, 1.6) in steps of √step standard deviation."""
    width = 1.6
    kernel = sg.kernels.EulerMaruyama(sg.sdes.SME1(quadratic(0.0), step), step)
    theta = [start] if region.dim == 1 else [start, 0.0]
    if region.dim == 2:
        noise = sg.noises.Gaussian(sg.objectives.Quadratic([0.0, 0.0]), [[1.0 / step, 0.0], [0.0, 1e-8]])
        kernel = sg.kernels.EulerMaruyama(sg.sdes.SME1(noise, step), step)
    found = sg.exit_times(kernel, theta, region=region, horizon=60.0, monitor="bridge", paths=PATHS, seed=12)
    variance = float(kernel.sde.diffusion(0.0, torch.zeros(1, kernel.dim, dtype=torch.float64))[0, 0, 0])
    t, n = np.linspace(0.02, 8.0, 200) / variance, np.arange(1, 400)[:, None]
    modes = 2 / (n * math.pi) * (1 - (-1.0) ** n) * np.sin(n * math.pi * start / width)
    alive = (modes * np.exp(-(n**2) * math.pi**2 * variance * t / (2 * width**2))).sum(0)
    simulated = 1 - np.searchsorted(np.sort(found.times.numpy()), t, side="right") / PATHS
    below = float((found.sides == -1).double().mean())
    return float(np.abs(simulated - alive).max()), abs(below - (1 - start / width))


BOUND = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * PATHS))


@pytest.mark.parametrize("start", [0.8, 0.3])
def test_brownian_motion_leaves_a_strip_narrower_than_two_steps_exactly(start: float) -> None:
    """Law of the exit time and sides, false-alarm rate 1e-6 each, resolves .013: no time step is too long."""
    law, side = exits(Interval(0.0, 1.6), start)
    assert law < BOUND
    assert side < BOUND


def test_a_box_does_so_too() -> None:
    law, side = exits(Box([0.0, -50.0], [1.6, 50.0]), 0.3, step=1.0)
    assert law < BOUND
    assert side < BOUND


class OneByOne(Interval):
    """A mutant: its ends are taken as independent."""

    opposite = ()


def test_walls_taken_one_by_one_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent walls miss the law; so do crossing times that are not drawn again where the other wall came first, and a step of the wrong size."""
    assert max(exits(OneByOne(0.0, 1.6), 0.3)) > BOUND
    monkeypatch.setattr(bridge, "stays_clear", lambda y0, gap, v: torch.ones_like(y0))
    assert max(exits(Interval(0.0, 1.6), 0.8)) > BOUND


def test_the_error_of_independent_walls_is_bounded_as_stated() -> None:
    """∫|P − P_independent|·φ ≤ e^{−L²/(2v)} per step, for widths from 1.5 to 5 standard deviations of a step; it is not much smaller for the narrow ones."""
    z, w = np.polynomial.legendre.leggauss(200)
    worst = []
    for width in (1.5, 2.0, 3.0, 5.0):
        starts = torch.linspace(0.01, 0.99, 25, dtype=torch.float64) * width
        errors = []
        for y0 in starts:
            y1 = torch.from_numpy((z + 1) / 2 * width)
            weight = torch.from_numpy(w / 2 * width) * torch.exp(-((y1 - y0) ** 2) / 2) / math.sqrt(2 * math.pi)
            full = torch.full_like(y1, width)
            low, up = first_wall(y0.expand_as(y1), y1, full, torch.ones_like(y1))
            a, b = torch.exp(-2 * y0 * y1), torch.exp(-2 * (width - y0) * (width - y1))
            errors.append(float(((low + up - (1 - (1 - a) * (1 - b))).abs() * weight).sum()))
        worst.append(max(errors))
        assert worst[-1] <= math.exp(-(width**2) / 2)
    assert worst[0] > 0.02
    assert worst[-1] < 1e-5
