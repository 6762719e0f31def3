"""Starts, censoring and the fates of paths: what is recorded, what statistics are refused, what a run may not depend on."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import scipy.stats
import torch
from exit_problems import FALSE_ALARM, HALF_LINE, quadratic, quartic
from torch import Tensor

import sgdsde as sg
from sgdsde import oracles
from sgdsde.regions import Interval
from sgdsde.stats import check
from sgdsde.types import InputError, SgdsdeWarning, Status


def test_quasi_stationary_start_is_memoryless() -> None:
    """From the quasi-stationary law the exit step is geometric with the chain's decay: mean 1/(1 − e^{−rate}) (20,000 paths), its law is the oracle's too."""
    n, interval = quadratic(0.4), Interval(-2.0, 2.0)
    law = oracles.sgd_mean_exit(n, 1.0, 0.0, interval)
    kernel = sg.kernels.SGD(n, 1.0)
    start = sg.QuasiStationary(kernel, [0.0], interval, 40.0)
    found = sg.exit_times(kernel, start, region=interval, horizon=1e4, paths=20_000, seed=10)
    truth = 1 / (1 - math.exp(-law.rate))
    check(found.mean(), truth, false_alarm=FALSE_ALARM)
    assert abs(truth / law.mean - 1) > 0.02  # the point start is another law
    first = float((found.steps == 1).double().mean())
    assert abs(first - 1 / truth) < 5 * math.sqrt(1 / truth / 20_000)


def test_starts_from_a_point_from_many_and_from_a_sampler() -> None:
    kernel, interval = sg.kernels.SGD(quadratic(0.3), 1.0), Interval(-2, 2)
    many = torch.linspace(-1.5, 1.5, 500, dtype=torch.float32)[:, None]
    found = sg.exit_times(kernel, many, region=interval, horizon=500, seed=11)
    assert found.states.dtype == torch.float32
    assert len(found.times) == 500
    assert found.times.dtype == torch.float64
    assert sg.exit_times(kernel, uniform, region=interval, horizon=500, paths=300, seed=11).mean().n == 300
    with pytest.raises(InputError, match="of 300 start points outside"):
        sg.exit_times(kernel, sometimes_outside, region=interval, horizon=500, paths=300, seed=11)


def uniform(paths: int, generator: torch.Generator) -> Tensor:
    return torch.rand(paths, 1, generator=generator, dtype=torch.float64) - 0.5


def sometimes_outside(paths: int, generator: torch.Generator) -> Tensor:
    return uniform(paths, generator) * (6.0 if paths > 1 else 1.0)


def censored_run(horizon: float = 30.05, **options: object) -> sg.ExitTimes:
    return sg.exit_times(sg.kernels.SGD(quadratic(0.3), 1.0), [0.0], region=Interval(-2, 2), horizon=horizon, paths=4000, seed=12, **options)


def test_censored_paths_are_counted_and_only_honest_statistics_are_given() -> None:
    found = censored_run()
    law = oracles.sgd_mean_exit(quadratic(0.3), 1.0, 0.0, Interval(-2, 2))
    assert found.horizon == 31.0  # rounded up to a tick
    assert torch.equal(found.censored, found.status == int(Status.CENSORED))
    assert 100 < int(found.censored.sum()) < 3000
    assert bool((found.times[found.censored] == 31.0).all())
    assert bool((found.steps[found.censored] == 31).all())
    assert bool((found.sides[found.censored] == 0).all())
    assert bool(torch.isnan(found.directions[found.censored]).all())
    assert bool((found.states[found.censored].abs() < 2).all())
    with pytest.raises(InputError, match=r"restricted_mean\(t\).*rate\(\)") as refusal:
        found.mean()
    assert "censored" in str(refusal.value)
    restricted = found.restricted_mean(31.0)
    check(restricted, law.survival(np.arange(31.0)).sum(), false_alarm=FALSE_ALARM)
    curve = found.survival().at([5.0, 20.0])
    assert (np.abs(curve.value - law.survival([5.0, 20.0])) < 5 * curve.stderr).all()
    assert abs(found.rate().value * law.mean - 1) < 0.15
    with pytest.raises(InputError, match="watched only up to 31"):
        found.restricted_mean(40.0)
    assert "censored" in str(found)
    assert "rate (if exits are memoryless)" in str(found)
    statistic, p = found.log_rank(censored_run())
    assert statistic == pytest.approx(0)
    assert p > 0.99


def test_precision_stops_the_whole_run_at_one_time() -> None:
    """±10 %: 402 exits of 4,000 paths; all blocks are watched to the same look, a little after the 402nd exit, and the interval is as narrow as asked for.

    A step takes some 260 paths out here: what it adds beyond the wanted number is nobody's fault.
    """
    wanted = sg.power.exits_for_rate(0.1)
    found = censored_run(horizon=1e5, precision=0.1, block_size=500)
    rate = found.rate()
    assert wanted <= rate.n
    assert int((found.times < found.horizon - 0.5).sum()) < 1.3 * wanted
    assert (rate.high - rate.low) / 2 <= 0.1 * rate.value * 1.05
    assert set(found.times[found.censored].tolist()) == {found.horizon}
    assert bool((found.times <= found.horizon).all())
    assert bool((found.states[found.censored].abs() < 2).all())
    with pytest.raises(InputError, match="takes 38,"):
        censored_run(precision=0.01)


def test_legs_change_no_number() -> None:
    """The paths of a run stopped by precision are those of an uninterrupted run up to the same horizon: iterates, bridges, and a kernel with a memory."""
    bridge = sg.kernels.Heun(sg.sdes.HASME(quadratic(0.3), 1.0), 0.25)
    shuffled = sg.kernels.ShuffledSGD(sg.objectives.LeastSquares(np.ones((6, 1)), np.array([-1.0, 1.0, 2.0, -2.0, 0.5, -0.5])), 1, 0.3)
    for kernel, monitor, half in ((sg.kernels.SGD(quadratic(0.3), 1.0), "iterates", 3.0), (bridge, "bridge", 3.0), (shuffled, "iterates", 0.75)):
        options = {"region": Interval(-half, half), "monitor": monitor, "paths": 600, "block_size": 200, "seed": 20}
        stopped = sg.exit_times(kernel, [0.0], horizon=2e3, precision=0.2, **options)
        whole = sg.exit_times(kernel, [0.0], horizon=stopped.horizon, **options)
        assert stopped.horizon > 3 * kernel.tick  # more than one leg
        for name in ("times", "steps", "censored", "states", "sides", "status"):
            assert torch.equal(getattr(stopped, name), getattr(whole, name)), name


def test_the_stop_does_not_depend_on_workers() -> None:
    alone = censored_run(horizon=1e5, precision=0.2, block_size=500)
    with ThreadPoolExecutor(3) as pool:
        assert torch.equal(censored_run(horizon=1e5, precision=0.2, block_size=500, executor=pool).times, alone.times)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        other = censored_run(horizon=1e5, precision=0.2, block_size=500, executor=pool)
    assert torch.equal(other.states, alone.states)
    assert other.horizon == alone.horizon


def coverage(stop: Callable[[sg.ExitTimes], sg.ExitTimes], runs: int = 200) -> tuple[float, float]:
    """(share of 95 % intervals that hold the true rate, mean of rate/truth) over runs stopped at ±30 % (some 50 exits of 150 paths), exits exactly geometric.

    ηλ = 1: every iterate is fresh noise, and P(|N(0, 1)| > 2.2) is the chance to leave at each; exits per tick are its hazard.
    """
    chance = 2 * float(scipy.stats.norm.sf(2.2))
    kernel, region = sg.kernels.SGD(quadratic(1.0), 1.0), Interval(-2.2, 2.2)
    rates = [stop(sg.exit_times(kernel, [0.0], region=region, horizon=500, precision=0.3, paths=150, block_size=50, seed=seed)).rate() for seed in range(runs)]
    return float(np.mean([e.low <= chance <= e.high for e in rates])), float(np.mean([e.value / chance for e in rates]))


def test_intervals_of_a_stopped_run_hold_their_level() -> None:
    """200 runs: coverage at least .95 less 3.3 standard errors (.90), bias 1/(r − 1) = 2 % within 3.3 of them (3 %): false-alarm rate 1e-3, fixed seeds.

    A mutant that forgets the time of those who had not left when the run stopped is seen at once.
    """
    held, bias = coverage(lambda found: found)
    assert held > 0.90
    assert abs(bias - 1.02) < 0.03
    held, bias = coverage(lambda found: replace(found, times=torch.where(found.censored, 0.0, found.times)), runs=60)
    assert held < 0.5
    assert bias > 1.1


def test_a_path_that_diverges_is_no_exit() -> None:
    found = sg.exit_times(
        sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([1e200]), 1.0), 1e150),
        [1e-290],
        region=Interval(-1e300, 1e300),
        horizon=1e152,
        paths=3,
        seed=13,
    )
    assert found.counts() == {"diverged": 3}
    assert bool(torch.isnan(found.states).all())
    with pytest.raises(InputError, match="3 diverged"):
        found.mean()


def test_paths_out_of_a_models_domain_are_frozen_and_counted() -> None:
    sde = sg.sdes.HASME(quartic(0.9), 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SgdsdeWarning)
        found = sg.exit_times(sg.kernels.Heun(sde, 0.05), [-1.0], region=HALF_LINE, horizon=20.0, paths=500, seed=14)
    counts = found.counts()
    assert counts["out_of_domain"] > 50
    assert bool(torch.isfinite(found.states).all())
    assert "out_of_domain" in str(found)


def test_exits_do_not_depend_on_workers() -> None:
    """Same numbers in one process, in threads in another order, and in worker processes; other numbers with another seed or block size (the recipe)."""
    run: Callable[..., sg.ExitTimes] = lambda **options: sg.exit_times(  # noqa: E731
        sg.kernels.Heun(sg.sdes.HASME(quadratic(0.5), 1.0), 0.25),
        [0.0],
        region=Interval(-1, 1),
        horizon=100,
        monitor="bridge",
        paths=900,
        **({"seed": 15, "block_size": 200} | options),
    )
    alone = run()
    with ThreadPoolExecutor(3) as pool:
        assert torch.equal(run(executor=pool).times, alone.times)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert torch.equal(run(executor=pool).states, alone.states)
    assert not torch.equal(run(seed=16).times, alone.times)
    assert torch.equal(pickle.loads(pickle.dumps(alone)).times, alone.times)
