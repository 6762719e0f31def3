"""The fate of every path: stopped, diverged or still going, nothing dropped, and none of it a matter for the others."""

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

import sgdsde as sg
from sgdsde.kernel import Kernel, State
from sgdsde.kernels import SGD, ShuffledSGD
from sgdsde.stats import check_covariance, check_mean
from sgdsde.types import Status

STILL = SGD(sg.noises.Gaussian(sg.objectives.Quadratic(2.0), 0.0), 0.25)  # θ_k = 2⁻ᵏθ_0, no noise


class Script(Kernel):
    """Adds 1 a tick; at tick ``at`` the paths that started at ``who`` become what ``into`` says."""

    dim = 1
    tick = 1.0

    def __init__(self, who: float, at: int, into: float) -> None:
        self.who, self.at, self.into = who, at, into

    def init(self, theta: Tensor, generator: Generator) -> State:
        return State(theta, (theta.clone(),))

    def advance(self, state: State, k: int, generator: Generator) -> State:
        (start,) = state.memory
        after = state.theta + 1
        return State(torch.where((start == self.who) & (k + 1 == self.at), self.into, after), state.memory)


def first(theta: Tensor) -> Tensor:
    return theta[:, 0]


def below(theta: Tensor) -> Tensor:
    return theta[:, 0] < 0.3


def test_stop_freezes_a_path_at_the_tick_where_it_is_met() -> None:
    """θ_k = 2⁻ᵏ: below 0.3 at k = 2 from 1, at k = 0 from 0.25 (seen after the first tick), at k = 4 from 4."""
    run = sg.simulate(STILL, [[1.0], [0.25], [4.0], [100.0]], horizon=1.5, save=(0.25, 0.75, 1.5), stop=below, seed=0)
    assert run.status.tolist() == [Status.EXITED, Status.EXITED, Status.EXITED, Status.OK]
    assert run.status_tick.tolist() == [2, 1, 4, 6]
    assert run.states[2, :, 0].tolist() == [0.25, 0.125, 0.25, 100 / 64]
    assert run.states[1, :, 0].tolist() == [0.25, 0.125, 0.5, 12.5]
    assert run.counts() == {"ok": 1, "exited": 3}


@pytest.mark.parametrize("into", [float("nan"), float("inf"), -float("inf")])
def test_divergence_is_data(into: float) -> None:
    """The path that diverges at tick 3 has this status and tick, is NaN from then on, and makes means NaN from then on: nothing is dropped."""
    run = sg.simulate(Script(2.0, 3, into), [[0.0], [2.0], [5.0]], horizon=5.0, save=(2.0, 3.0, 5.0), observe={"first": first}, seed=0)
    assert run.status.tolist() == [Status.OK, Status.DIVERGED, Status.OK]
    assert run.status_tick.tolist() == [5, 3, 5]
    assert run.states[0, :, 0].tolist() == [2.0, 4.0, 7.0]
    assert bool(torch.isnan(run.states[1:, 1]).all())
    assert run.states[2, [0, 2], 0].tolist() == [5.0, 10.0]
    assert run.observed["first"].value[0] == pytest.approx(13 / 3)
    assert np.isnan(run.observed["first"].value[1:]).all()
    assert "diverged 1" in str(run)


def test_a_finite_ensemble_whose_sum_overflows_has_not_diverged() -> None:
    huge = torch.full((4, 1), 1e308, dtype=torch.float64)
    run = sg.simulate(Script(-1.0, 1, 0.0), huge, horizon=1.0, seed=0)
    assert run.status.tolist() == [Status.OK] * 4


def test_true_sgd_diverges_where_eta_lambda_exceeds_two() -> None:
    kernel = SGD(sg.noises.Gaussian(sg.objectives.Quadratic(30.0), 0.1), 0.1)  # m = −2: |θ| doubles a tick, float32 ends at 2¹²⁸
    run = sg.simulate(kernel, torch.ones(20, 1), horizon=40.0, seed=0)
    assert run.counts() == {"diverged": 20}
    assert 120 <= int(run.status_tick.min()) <= int(run.status_tick.max()) <= 135


def test_when_all_paths_are_finished_the_later_saves_show_where_they_are() -> None:
    run = sg.simulate(STILL, [[1.0], [0.5]], horizon=250.0, save=(0.25, 250.0), stop=below, seed=0)
    assert run.states[1, :, 0].tolist() == [0.25, 0.25]
    assert run.status_tick.tolist() == [2, 1]


def left(theta: Tensor) -> Tensor:
    return theta[:, 0] < -1.0


def test_leaving_paths_change_nothing_for_the_others() -> None:
    """Two independent coordinates, stop by the first: the second keeps its exact law among the survivors. 1e5 paths, false alarm 1e-6; the state
    of a wrong path after a compaction would mix exited first coordinates in, which the last assertion sees.
    """
    kernel = SGD(sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 0.5]), [[1.0, 0.0], [0.0, 2.0]]), 0.4)
    run = sg.simulate(kernel, [0.5, 1.0], horizon=4.0, paths=100_000, stop=left, seed=5)
    alive = run.status == int(Status.OK)
    assert 0.05 < float(alive.double().mean()) < 0.95
    variance = sum(0.8 ** (2 * j) * 0.16 * 2.0 for j in range(10))
    check_mean(run.states[0, alive, 1], 0.8**10)
    check_covariance(run.states[0, alive, 1:], [[variance]])
    assert float(run.states[0, alive, 0].min()) >= -1.0
    assert float(run.states[0, ~alive, 0].max()) < -1.0


def test_memory_of_a_kernel_stays_with_its_paths() -> None:
    """Shuffled SGD carries a permutation a path: after half of the paths have left, each sample is still seen once an epoch."""

    class Counter(sg.Objective):
        dim = n = 6

        def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
            return theta if batch is None else theta.gather(1, batch)

    run = sg.simulate(ShuffledSGD(Counter(), 1, 1.0), torch.zeros(6).double(), horizon=6.0, paths=400, stop=lambda theta: theta[:, :3].sum(1) == -2, seed=2)
    assert run.counts() == {"exited": 400}
    run = sg.simulate(
        ShuffledSGD(Counter(), 1, 1.0), torch.zeros(6).double(), horizon=6.0, paths=400, stop=lambda theta: (theta[:, 0] < 0) & (theta.sum(1) == -1), seed=2
    )
    stayed = run.status == int(Status.OK)
    assert 300 < int(stayed.sum()) < 380
    assert torch.equal(run.states[0, stayed], torch.full((int(stayed.sum()), 6), -1.0).double())
