"""The loop and what surrounds it: times, starts, saves, streamed moments, the fate of every path, and what a run shows of itself."""

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

import sgdsde as sg
from sgdsde.kernels import SGD, EulerMaruyama, Heun
from sgdsde.loop import one_thread
from sgdsde.stats import check_covariance, check_mean
from sgdsde.types import DomainError

PLANE = sg.noises.Gaussian.examples()[0]
STILL = SGD(sg.noises.Gaussian(sg.objectives.Quadratic(2.0), 0.0), 0.25)  # θ_k = 2⁻ᵏθ_0, no noise
NOISY = SGD(PLANE, 0.4)


# --- times and starts --------------------------------------------------------------------------------------------------------------------------


def test_saved_states_are_those_of_their_times() -> None:
    run = sg.simulate(STILL, [1.0], horizon=1.0, save=(0.0, 0.25, 0.75, 1.0), seed=0)
    assert run.times.tolist() == [0.0, 0.25, 0.75, 1.0]
    assert run.states[:, 0, 0].tolist() == [1.0, 0.5, 0.125, 0.0625]
    assert run.status_tick.tolist() == [4]


def test_default_save_is_the_horizon_and_the_run_goes_on_past_the_last_save() -> None:
    assert sg.simulate(STILL, [1.0], horizon=0.5, seed=0).times.tolist() == [0.5]
    run = sg.simulate(STILL, [1.0], horizon=1.0, save=0.25, seed=0)
    assert run.states.flatten().tolist() == [0.5]
    assert run.status_tick.tolist() == [4]


def test_time_is_counted_in_ticks_not_added_up() -> None:
    """0.1·3 ≠ 0.3 in floating point; 1,000 ticks of 0.1 are 1,000 steps."""
    kernel = SGD(sg.noises.Gaussian(sg.objectives.Quadratic(0.0), 0.0), 0.1)
    assert sg.simulate(kernel, [1.0], horizon=0.1 * 3, seed=0).status_tick.tolist() == [3]
    assert sg.simulate(kernel, [1.0], horizon=100.0, seed=0).status_tick.tolist() == [1000]


@pytest.mark.parametrize(
    ("theta0", "paths", "shape", "dtype"),
    [
        ([1.0, 2.0], None, (1, 2), torch.float64),
        ([1, 2], 5, (5, 2), torch.float64),
        (np.ones((3, 2), dtype=np.float32), None, (3, 2), torch.float64),
        (torch.ones(3, 2), 3, (3, 2), torch.float32),
        (torch.ones(2, dtype=torch.int64), 4, (4, 2), torch.float64),
    ],
)
def test_forms_of_a_start(theta0: Any, paths: int | None, shape: tuple[int, int], dtype: torch.dtype) -> None:
    run = sg.simulate(NOISY, theta0, horizon=0.4, save=(0.0, 0.4), paths=paths, seed=0)
    assert tuple(run.states.shape[1:]) == shape
    assert run.states.dtype == dtype
    assert torch.equal(run.states[0], torch.as_tensor(np.asarray(theta0)).to(dtype).expand(*shape))


def test_a_number_starts_a_one_dimensional_kernel() -> None:
    assert sg.simulate(STILL, 1.0, horizon=0.25, seed=0).states.item() == 0.5


def test_start_points_are_left_alone() -> None:
    theta = torch.ones(4, 2, dtype=torch.float64)
    sg.simulate(NOISY, theta, horizon=4.0, seed=0)
    assert bool((theta == 1).all())


def normal_start(paths: int, generator: Generator) -> Tensor:
    return torch.randn(paths, 2, generator=generator, dtype=torch.float64) + 3.0


def test_sampler_draws_each_block_from_its_own_stream() -> None:
    """Start points of 2e4 paths in many blocks: mean 3 and unit covariance (false alarm 1e-6; blocks that repeat would not be seen by that, hence the
    count of distinct points).
    """
    run = sg.simulate(NOISY, normal_start, horizon=0.4, save=(0.0, 0.4), paths=20_000, seed=1, block_size=500)
    check_mean(run.states[0], 3.0)
    check_covariance(run.states[0], torch.eye(2))
    assert run.states[0].unique().numel() == 40_000
    mean = run.states[0] - 0.4 * sg.calculus.grad(PLANE.objective, run.states[0])
    check_covariance(run.states[1] - mean, 0.16 * PLANE.covariance(run.states[0][:1])[0])


# --- observables ---------------------------------------------------------------------------------------------------------------------------------


def first(theta: Tensor) -> Tensor:
    return theta[:, 0]


def squares(theta: Tensor) -> Tensor:
    return theta**2


def far_away(theta: Tensor) -> Tensor:
    return theta[:, 0] + 1e9


@pytest.mark.parametrize("block_size", [64, 150, 7])
def test_streamed_moments_are_those_of_the_stored_states(block_size: int) -> None:
    """Blocks of unequal size merged pairwise; an offset of 1e9 costs no digits that a two-pass formula keeps."""
    observe = {"first": first, "squares": squares, "far": far_away}
    run = sg.simulate(NOISY, [1.0, -1.0], horizon=2.0, save=(0.0, 0.4, 2.0), observe=observe, paths=150, seed=3, block_size=block_size)
    states = run.states.numpy()
    for name, values in (("first", states[:, :, 0]), ("squares", states**2), ("far", states[:, :, 0] + 1e9)):
        estimate = run.observed[name]
        tolerance = {"rtol": 1e-12, "atol": 1e-14} if name != "far" else {"rtol": 1e-7, "atol": 1e-9}
        assert np.allclose(estimate.value, values.mean(1), rtol=1e-12)
        assert np.allclose(estimate.stderr, values.std(1, ddof=1) / 150**0.5, **tolerance)
        assert np.allclose(estimate.high - estimate.value, 1.959964 * estimate.stderr, rtol=1e-4, atol=1e-6)
        assert estimate.n == 150
    assert run.observed["squares"].value.shape == (3, 2)
    assert run.observed["first"][2].value == pytest.approx(states[2, :, 0].mean())


def test_keep_states_false_keeps_the_observables_only() -> None:
    recipe: dict[str, Any] = {"horizon": 2.0, "save": (0.4, 2.0), "observe": {"squares": squares}, "paths": 150, "seed": 3}
    lean, full = (sg.simulate(NOISY, [1.0, -1.0], keep_states=keep, **recipe) for keep in (False, True))
    assert lean.states.shape == (0, 150, 2)
    assert np.array_equal(lean.observed["squares"].value, full.observed["squares"].value)
    assert lean.times.tolist() == full.times.tolist()


def test_one_path_has_no_standard_error() -> None:
    run = sg.simulate(NOISY, [1.0, -1.0], horizon=0.4, observe={"first": first}, seed=3)
    assert np.isnan(run.observed["first"].stderr).all()


# --- what a run shows ----------------------------------------------------------------------------------------------------------------------------


def test_a_result_carries_its_conventions_and_recipe() -> None:
    run = sg.simulate(SGD(sg.noises.Minibatch.examples()[1], 0.1), [0.0, 0.0, 0.0], horizon=0.2, paths=70, seed=9, block_size=64)
    assert (run.conventions.eta, run.conventions.batch_size, run.conventions.n, run.conventions.dtype) == (0.1, 4, 12, "float64")
    assert run.recipe == {"seed": 9, "paths": 70, "block_size": 64, "kernel": "SGD"}
    text = str(run)
    for part in ("SGD, 70 paths", "eta=0.1, B=4, n=12, sampling=minibatch with replacement", "Itô", "status: ok 70"):
        assert part in text


def test_block_size_is_part_of_the_recipe_and_nothing_else_is() -> None:
    recipe: dict[str, Any] = {"horizon": 0.8, "paths": 200, "seed": 1}
    default = sg.simulate(NOISY, [1.0, 1.0], **recipe)
    assert torch.equal(default.states, sg.simulate(NOISY, [1.0, 1.0], block_size=default.recipe["block_size"], **recipe).states)
    assert not torch.equal(default.states, sg.simulate(NOISY, [1.0, 1.0], block_size=64, **recipe).states)


def test_runs_use_one_thread_and_give_the_others_back() -> None:
    seen = []

    def threads(theta: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return theta[:, 0]

    torch.set_num_threads(2)
    try:
        sg.simulate(NOISY, [1.0, 1.0], horizon=0.4, observe={"threads": threads}, seed=0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen[-1] == 1


def test_threads_that_run_blocks_together_give_the_threads_back_when_the_last_is_done() -> None:
    """One that leaves early must not hand several threads to the linear algebra of one that still works, nor leave 1 behind for good."""
    torch.set_num_threads(2)
    try:
        early, late, seen = threading.Event(), threading.Event(), {}

        def first() -> None:
            with one_thread():
                early.set()
                late.wait()

        def second() -> None:
            early.wait()
            with one_thread():
                late.set()
                one.join()
                seen["while another left"] = torch.get_num_threads()

        def later() -> None:
            seen["afterwards"] = torch.get_num_threads()

        one, two = threading.Thread(target=first), threading.Thread(target=second)
        for group in ((one, two), (threading.Thread(target=later),)):
            for thread in group:
                thread.start()
            for thread in group:
                thread.join()
        assert seen == {"while another left": 1, "afterwards": 2}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("terminal", "progress", "shown"), [(False, None, False), (True, None, True), (False, True, True), (True, False, False)])
def test_progress_bar_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, terminal: bool, progress: bool | None, shown: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    sg.simulate(NOISY, [1.0, 1.0], horizon=4.0, paths=100, seed=0, progress=progress)
    assert bool(stream.getvalue()) == shown


def test_tallies_of_blocks_add_up() -> None:
    """HA-SME under ``clip`` on a double well: counts of 40 paths in 4 blocks are those of 1 block with the same start points and no noise."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(1), 0.0)
    start = torch.linspace(1.5, 2.5, 40, dtype=torch.float64)[:, None]
    runs = [sg.simulate(Heun(sg.sdes.SPF(noise, 0.1, log="clip"), 0.1), start, horizon=0.3, seed=0, block_size=size) for size in (10, 40)]
    assert runs[0].tally.counts == runs[1].tally.counts
    assert runs[0].tally.counts["log clipped"] > 0
    assert runs[0].tally.worst == runs[1].tally.worst
    assert "log clipped" in str(runs[0])


@pytest.mark.parametrize("workers", [None, 2])
def test_an_error_in_a_block_reaches_the_caller(workers: int | None) -> None:
    """A policy that raises, met in the middle of a run on another thread."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(1), 30.0)
    kernel = EulerMaruyama(sg.sdes.SPF(noise, 0.1, log="raise"), 0.1)
    recipe: dict[str, Any] = {"horizon": 3.0, "paths": 100, "seed": 5, "block_size": 25}
    if workers is None:
        with pytest.raises(DomainError, match="not real there"):
            sg.simulate(kernel, [1.0], **recipe)
        return
    with ThreadPoolExecutor(workers) as pool, pytest.raises(DomainError, match="not real there"):
        sg.simulate(kernel, [1.0], executor=pool, **recipe)
