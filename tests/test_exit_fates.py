"""Starts, censoring and the fates of paths: what is recorded, what statistics are refused, what a run may not depend on."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
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
    return sg.exit_times(sg.kernels.SGD(quadratic(0.3), 1.0), [0.0], region=Interval(-2, 2), horizon=horizon, paths=4000, seed=12, **options)  # type: ignore[arg-type]


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


def test_precision_stops_each_block_at_its_share_of_exits() -> None:
    """±10 %: some 400 exits of 4,000 paths; blocks of 500 stop at their own times, and the rate's interval is as narrow as asked for."""
    wanted = sg.power.exits_for_rate(0.1)
    found = censored_run(horizon=1e5, precision=0.1, block_size=500)
    rate = found.rate()
    assert wanted <= rate.n < 1.5 * wanted
    assert (rate.high - rate.low) / 2 <= 0.1 * rate.value * 1.05
    ends = {tuple(set(block[gone].tolist())) for block, gone in zip(found.times.split(500), found.censored.split(500), strict=True)}
    assert all(len(end) == 1 for end in ends)
    assert len(ends) > 1
    with pytest.raises(InputError, match=r"takes 1,557 exits and there are 4,000 paths|takes 38,"):
        censored_run(precision=0.01)


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
