"""Outliers followed along a run: found anew where one appears, counted, independent of what ran before and of the other paths."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from spectral_problems import EXACT, T64, Rising, bound, network, visited

import sgdsde as sg
from sgdsde.sdes import spectral
from sgdsde.sdes.spectral import Spectral
from sgdsde.types import Tally, tallying


def test_five_thousand_dimensions_within_two_percent_of_lanczos() -> None:
    """d = 4,960, two paths of ten Heun steps on the same increments: the ends differ by less than 2 % of the way from the start (and by more than nothing)."""
    f = network((64, 66, 10), 100)
    theta, eta = visited(f, 60)
    ends = []
    for functions in (sg.sdes.Krylov(16), Spectral(10)):
        sde = sg.sdes.HASMEProduct(sg.noises.Minibatch(f, 32), eta / 2, functions=functions)
        ends.append(sg.simulate(sg.kernels.Heun(sde, eta / 2), theta[:1], horizon=5 * eta, paths=2, seed=3, progress=False).states[-1])
    gap = (ends[1] - ends[0]).norm(dim=1) / (ends[0] - theta[:1]).norm(dim=1)
    assert bool((gap < 0.02).all())
    assert bool((gap > 0).all())


def test_a_block_does_not_depend_on_what_ran_before_it() -> None:
    """The remembered rows are forgotten where a block begins: serial, alone, or on threads in any company, the same bits."""
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    sde = sg.sdes.HASMEProduct(sg.noises.Minibatch(f, 8), eta / 2, functions=Spectral(4, tolerance=0.1))
    settings = {"horizon": 2 * eta, "seed": 3, "progress": False, "block_size": 2}
    kernel = sg.kernels.Heun(sde, eta / 2)
    serial = sg.simulate(kernel, theta[:1], paths=6, **settings)
    with ThreadPoolExecutor(2) as pool:
        threads = sg.simulate(kernel, theta[:1], paths=6, executor=pool, **settings)
    copy = sg.simulate(pickle.loads(pickle.dumps(kernel)), theta[:1], paths=6, **settings)
    alone = sg.simulate(kernel, theta[:1], paths=2, **settings)
    assert torch.equal(serial.states, threads.states)
    assert torch.equal(serial.states, copy.states)
    assert torch.equal(serial.states[:, :2], alone.states)


def test_without_forgetting_a_block_would_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: ``begin`` does nothing. The check before the run has left its rows, and the run differs in its last digits."""
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    sde = sg.sdes.HASMEProduct(sg.noises.Minibatch(f, 8), eta / 2, functions=Spectral(4, tolerance=0.1))
    settings = {"horizon": 2 * eta, "seed": 3, "progress": False}
    right = sg.simulate(sg.kernels.Heun(sde, eta / 2), theta, **settings).states
    monkeypatch.setattr(type(sde), "begin", lambda self: None)
    assert not torch.equal(sg.simulate(sg.kernels.Heun(sde, eta / 2), theta, **settings).states, right)


def error_after_the_rise() -> tuple[float, Tally]:
    """Three outliers are remembered; a fourth, larger one has grown meanwhile, orthogonal to them."""
    f, eta = Rising(), 0.1
    strategy = bound(Spectral(3, tolerance=1e-3), f, eta)
    v = torch.randn(2, 30, generator=torch.Generator().manual_seed(5), dtype=T64)
    point = torch.zeros(2, 30, dtype=T64)
    strategy.flow(point, v)
    point[:, 0] = 1.0
    with tallying() as tally:
        found = strategy.flow(point, v)
    return float(((found - bound(EXACT, f, eta).flow(point, v)).norm(dim=1) / v.norm(dim=1)).max()), tally


def test_an_outlier_that_appears_is_found() -> None:
    """It shows in Hv, on which H is known anyway; then the eigenpairs are computed anew. What is left is the bulk, which the third outlier has joined (.5)."""
    error, tally = error_after_the_rise()
    assert tally.counts["outliers recomputed"] == 2
    assert error < 0.02
    assert tally.worst["eta·lambda of the bulk"] == pytest.approx(0.5, abs=0.01)


def test_from_the_remembered_rows_alone_it_would_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "whitened", lambda rows, images: (rows[:, :5], images[:, :5]))
    assert error_after_the_rise()[0] > 0.04


def test_paths_do_not_interact_and_a_broken_one_stays_alone() -> None:
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    theta = theta.repeat(3, 1) + 0.05 * torch.randn(6, f.dim, generator=torch.Generator().manual_seed(9), dtype=T64)
    v = torch.randn(6, f.dim, generator=torch.Generator().manual_seed(5), dtype=T64)
    whole = bound(Spectral(4), f, eta / 2).flow(theta, v)
    alone = bound(Spectral(4), f, eta / 2).flow(theta[4:5], v[4:5])
    assert torch.allclose(whole[4:5], alone, rtol=1e-7, atol=1e-9)
    theta[2] = torch.nan
    broken = bound(Spectral(4), f, eta / 2)
    for _ in range(2):
        found = broken.flow(theta, v)
        assert bool(torch.isnan(found[2]).all())
        assert torch.allclose(found[[0, 1, 3, 4, 5]], whole[[0, 1, 3, 4, 5]], rtol=1e-7, atol=1e-6)


def test_recomputation_is_counted_and_what_cannot_be_reached_is_too(monkeypatch: pytest.MonkeyPatch) -> None:
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    v = torch.randn(2, f.dim, generator=torch.Generator().manual_seed(5), dtype=T64)
    strategy = bound(Spectral(4, tolerance=1e-5), f, eta / 2)
    strategy.flow(theta, v)
    moved = theta + 0.05 * torch.randn(2, f.dim, generator=torch.Generator().manual_seed(6), dtype=T64)
    with tallying() as tally:
        strategy.flow(moved, v)
    assert tally.counts["outliers recomputed"] == 2
    assert tally.worst["error bound of the outliers"] <= 1e-5
    monkeypatch.setattr(spectral, "WARM_ROUNDS", 0)
    monkeypatch.setattr(spectral, "COLD_ROUNDS", 3)
    with tallying() as tally:
        bound(Spectral(4, tolerance=1e-9), f, eta / 2).flow(theta, v)
    assert tally.counts["outliers above tolerance"] == 2
