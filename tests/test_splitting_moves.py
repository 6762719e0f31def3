"""The moves between levels: parts of a step, substeps of an integrator, whole ticks of a period."""

from __future__ import annotations

import pytest
import torch
from splitting_cases import fit, quadratic
from torch import Generator, Tensor

import sgdsde as sg
from sgdsde import splitting_moves
from sgdsde.kernel import State
from sgdsde.rng import stream
from sgdsde.splitting_moves import DividedNoise, SubstepMoves, WholeTicks
from sgdsde.stats import CheckFailed, check, check_covariance, mean_estimate


def spread_noise(theta: Tensor) -> Tensor:
    return torch.diag_embed(0.5 + theta**2)


def test_a_divided_step_is_the_step() -> None:
    """θ⁺ ~ N(θ − ηg(θ), η²Σ(θ)) after n parts, to 2 % of its covariance with 1e5 paths; parts scaled by 1/n instead of 1/√n are seen."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(2), spread_noise)
    kernel, start = sg.kernels.SGD(noise, 0.3), torch.tensor([[0.4, -1.2]], dtype=torch.float64)
    generator = stream(0, "divided")

    def moved(clock: splitting_moves.Clock) -> Tensor:
        state, place = clock.begin(start.expand(100_000, -1).clone(), generator), torch.zeros(100_000, dtype=torch.long)
        for _ in range(clock.moves):
            state, place = clock.move(state, place, generator), place + 1
        return state.theta

    drift = start - 0.3 * sg.calculus.grad(noise.objective, start)
    target = 0.09 * noise.covariance(start)[0]
    points = moved(DividedNoise(kernel, 8))
    check_covariance(points, target)
    check(mean_estimate(points), drift[0].numpy())

    class Wrong(DividedNoise):
        def move(self, state: State, place: Tensor, generator: Generator) -> State:
            after = super().move(state, place, generator)
            base = torch.where((place == 0)[:, None], drift, state.theta)
            return State(base + (after.theta - base) * self.moves**-0.5, after.memory)

    with pytest.raises(CheckFailed):
        check_covariance(moved(Wrong(kernel, 8)), target)


def test_looking_ahead_inside_a_step() -> None:
    """Distances by hand on a quadratic with ηλ = ½, four parts a step."""
    clock = DividedNoise(quadratic(0.5, 6.0)[0], 4)  # type: ignore[arg-type]
    at = torch.tensor([[4.0]], dtype=torch.float64)

    def to_six(theta: Tensor) -> Tensor:
        return 6.0 - theta.abs()[:, 0]

    whole, early, late = (float(clock.outlook(to_six, State(at, (at,)), torch.tensor([place]))) for place in (0, 1, 3))
    assert whole == 4.0  # 6 − ½·4
    assert early == pytest.approx(2 / 0.75**0.5)  # three quarters of the noise are still to come
    assert late == 4.0  # 2/√¼ = 4 to leave in this step, no more than in the next


def test_substeps_are_the_integrators_own() -> None:
    sde = sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2)
    kernel, start = sg.kernels.Heun(sde, 0.05), torch.full((5, 1), -1.0, dtype=torch.float64)
    whole = kernel.advance(kernel.init(start, stream(0, "a")), 0, stream(0, "a"))
    clock, generator = SubstepMoves(kernel), stream(0, "a")
    state = clock.begin(start, generator)
    for j in range(clock.moves):
        state = clock.move(state, torch.full((5,), j), generator)
    assert torch.equal(state.theta, whole.theta)


def test_whole_ticks_of_a_period_move_together() -> None:
    """A path's next batch does not depend on who moves beside it."""
    objective, center = fit()
    kernel = sg.kernels.ShuffledSGD(objective, 3, 0.25)
    clock = WholeTicks(kernel)
    state = State(torch.full((2, 1), center, dtype=torch.float64), (torch.arange(12).expand(2, -1),))
    both = clock.move(state, torch.tensor([1, 3]), stream(0, "x"))
    for row, place in ((0, 1), (1, 3)):
        alone = kernel.advance(state.take(torch.tensor([row])), place, stream(0, "x"))
        assert torch.equal(both.theta[row], alone.theta[0])
    assert not torch.equal(both.theta[0], both.theta[1])
