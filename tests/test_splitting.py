"""Rare exits by splitting, held against deterministic oracles, against direct simulation, and against mutants.

Statistical tests use fixed seeds and a false-alarm rate of 1e-6 each (:func:`sgdsde.stats.check` of the rate, which is unbiased, by Student's t). What they
resolve is stated with each: a discrepancy of about 7.5 standard errors is seen with power .9.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

import sgdsde as sg
from sgdsde import oracles, splitting, splitting_cycles, splitting_moves
from sgdsde.kernel import State
from sgdsde.regions import Ball, HalfSpace, Interval, Where
from sgdsde.rng import stream
from sgdsde.splitting_cycles import Moved, Problem, Walkers
from sgdsde.splitting_moves import DividedNoise, SubstepMoves, WholeTicks
from sgdsde.splitting_pieces import Pieces, resampled
from sgdsde.splitting_result import RareExit, log_interval
from sgdsde.stats import CheckFailed, check, check_covariance, mean_estimate
from sgdsde.types import InputError, OracleRefusal, SgdsdeWarning

LEFT = Interval(-math.inf, 0.0)
Case = tuple[sg.Kernel, list[float], Interval, float]


def quadratic(x: float, r: float) -> Case:
    """SGD at ηλ = x from the minimum out of (−r, r), r in units of ησ, and its exact mean in steps."""
    noise, region = sg.noises.Gaussian(sg.objectives.Quadratic([x]), 1.0), Interval(-r, r)
    return sg.kernels.SGD(noise, 1.0), [0.0], region, oracles.sgd_mean_exit(noise, 1.0, 0.0, region).steps


def double_well(eta: float, sigma: float) -> Case:
    """SGD across the barrier of the double well."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), sigma**2)
    return sg.kernels.SGD(noise, eta), [-1.0], LEFT, oracles.sgd_mean_exit(noise, eta, -1.0, LEFT).steps


def agrees(result: RareExit, steps: float) -> None:
    """The rate per step is 1/steps."""
    check(mean_estimate(result.replica_rates * result.tick * steps), 1.0, false_alarm=1e-6)


def run(case: Case, **options: Any) -> RareExit:
    kernel, start, region, _ = case
    return sg.rare_exit_time(kernel, start, region=region, seed=options.pop("seed", 1), **options)


# ---- against the exact chain


@pytest.mark.parametrize(
    ("case", "precision"),
    [
        (lambda: quadratic(0.1, 7.1), 0.04),  # 1.1e3 steps
        (lambda: quadratic(0.1, 11.1), 0.09),  # 1.1e6
        (lambda: quadratic(0.1, 14.0), 0.25),  # 1.1e9
        (lambda: quadratic(0.5, 7.1), 0.2),  # 1.3e9, the noise divided
        (lambda: quadratic(0.9, 6.2), 0.3),  # 1.5e9, exits by single jumps
        (lambda: double_well(0.1, 1.1), 0.04),  # 1.8e3
        (lambda: double_well(0.1, 0.68), 0.08),  # 1.3e6
        (lambda: double_well(0.1, 0.53), 0.12),  # 1.4e9
    ],
)
def test_sgd_against_the_nystrom_oracle(case: Callable[[], Case], precision: float) -> None:
    """Resolves 7.5 times the relative standard error, which must be at most ``precision``: some 20 % at 10³ steps, 50 % at 10⁶, a factor of 2 at 10⁹."""
    problem = case()
    result = run(problem, effort=512)
    agrees(result, problem[3])
    assert result.steps.stderr <= precision * result.steps.value
    direct = problem[3] * (result.steps.value / result.steps.stderr) ** 2
    assert result.gain == pytest.approx(direct / result.evaluations * result.steps.value / problem[3])


def test_what_is_cheap_is_known_to_a_percent() -> None:
    """Exits within some ten steps, where every tick counts. Standard error .4 %: resolves 3 %. The relation holds for any region, rare or not."""
    case = quadratic(0.3, 1.5)
    agrees(run(case, effort=64, replicas=1024), case[3])
    saddle = sg.noises.Gaussian(sg.objectives.Quadratic([-0.5]), 1.0)
    law = oracles.sgd_mean_exit(saddle, 1.0, 0.0, Interval(-20, 20))
    agrees(sg.rare_exit_time(sg.kernels.SGD(saddle, 1.0), [0.0], region=Interval(-20, 20), seed=2, effort=64, replicas=256), law.steps)


def test_many_levels_within_one_step() -> None:
    """Sixty levels a tenth of a step apart: most steps pass several. Standard error 3 %, resolves 20 %."""
    case = quadratic(0.1, 8.0)
    agrees(run(case, levels=np.linspace(6.5, 0.02, 60), effort=256), case[3])


def test_start_far_from_the_core_and_from_a_law() -> None:
    """From a point beyond all levels; and from the quasi-stationary law, where τ is geometric with the decay rate. Standard errors 5 %."""
    kernel, _, region, _ = quadratic(0.1, 8.0)
    exact = oracles.sgd_mean_exit(kernel.noise, 1.0, 7.9, region)
    agrees(sg.rare_exit_time(kernel, [7.9], region=region, seed=3, effort=256), exact.steps)
    law = sg.QuasiStationary(kernel, [0.0], region, 100.0)
    agrees(sg.rare_exit_time(kernel, law, region=region, seed=3, effort=256), -1 / math.expm1(-exact.rate))


# ---- mutants


class Late(Walkers):
    """A mutant: a path is put back one move after it left (an exit costs Eτ + 1)."""

    def move(self) -> Moved:
        moved = super().move()
        self.gone = getattr(self, "gone", torch.zeros_like(moved.pieces.left)) & ~moved.pieces.left
        home = self.problem.fresh(self.pieces.owner, self.generator)
        theta = torch.where(self.gone[:, None], home.state.theta, self.pieces.state.theta)
        self.pieces = self.pieces._replace(state=State(theta))
        self.gone = moved.pieces.left
        return moved


class Unarmed(Walkers):
    """A mutant: every move that ends beyond the first level is taken for a cycle."""

    def passages(self, *, core: float, first: float, moves: int, keep: bool = True) -> Pieces | None:
        return super().passages(core=-math.inf, first=first, moves=moves, keep=keep)


def stopped_at_the_level(problem: Problem, pieces: Pieces, **options: Any) -> Pieces:
    """A mutant: pieces that jumped past the next level already are dropped."""
    level = -math.inf if options["level"] is None else options["level"]
    short = pieces.take(torch.nonzero((problem.scores(pieces) > level) | pieces.left)[:, 0])
    return splitting_cycles.excursions(problem, short, **options)


def lost_copies(pieces: Pieces, count: int, owners: int, generator: Generator) -> Pieces:
    """A mutant: only the nearer half of the passages is copied."""
    some = [torch.nonzero(pieces.owner == owner)[:, 0] for owner in range(owners)]
    kept = torch.cat([mine[pieces.state.theta[mine, 0].abs().argsort()][: max(1, len(mine) // 2)] for mine in some])
    return resampled(pieces.take(kept), count, owners, generator)


def test_mutants_of_the_clock_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = quadratic(0.3, 1.5)
    for mutant in (Late, Unarmed):
        with monkeypatch.context() as patch:
            patch.setattr(splitting, "Walkers", mutant)
            result = run(case, effort=64, replicas=512)
        with pytest.raises(CheckFailed):
            agrees(result, case[3])


def test_mutants_of_the_weights_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = quadratic(0.1, 8.0)
    levels = np.linspace(6.4, 0.2, 25)  # a quarter of a step apart
    agrees(run(case, levels=levels, effort=256), case[3])
    for name, mutant in (("excursions", stopped_at_the_level), ("resampled", lost_copies)):
        with monkeypatch.context() as patch:
            patch.setattr(splitting, name, mutant)
            result = run(case, levels=levels, effort=256)
        with pytest.raises(CheckFailed):
            agrees(result, case[3])


def test_forgetting_the_length_of_a_cycle_is_seen() -> None:
    """1/Πp counts cycles, not steps."""
    case = quadratic(0.1, 8.0)
    result = run(case, effort=256)
    cycles = 1 / math.prod(p.value for p in result.probabilities)
    assert result.flux.value * result.tick / cycles == pytest.approx(1 / result.steps.value, rel=1e-9)
    with pytest.raises(CheckFailed):
        agrees(result, cycles)


# ---- the interval


def coverage(rates: np.ndarray, exact: float, group: int, interval: Callable[[np.ndarray], sg.Estimate]) -> float:
    groups = rates[: len(rates) // group * group].reshape(-1, group)
    found = [interval(replicas) for replicas in groups]
    return float(np.mean([one.low <= exact <= one.high for one in found]))


def test_the_interval_covers() -> None:
    """512 intervals of 8 replicas with a coefficient of variation of .6. The standard error of a coverage of .95 is .0096: a fair interval falls below .90
    with probability 1e-6; one of coverage .87 is seen with probability .98. The mutants: ±s instead of ±s/√R (covers too much), and ±s/R (too little).
    """
    case = quadratic(0.1, 8.0)
    result = run(case, effort=64, replicas=4096, seed=11)
    rates, exact = result.replica_rates, 1 / case[3]
    assert 0.90 <= coverage(rates, exact, 8, log_interval) <= 0.985
    assert coverage(rates, exact, 8, lambda x: sg.Estimate.normal(x.mean(), x.std(ddof=1), 8)) > 0.985
    assert coverage(rates, exact, 8, lambda x: sg.Estimate.normal(x.mean(), x.std(ddof=1) / 8, 8)) < 0.90
    agrees(result, case[3])  # unbiased, at 64 pieces a level: standard error .9 %, resolves 6 %
    assert result.replicas_for(0.1) == math.ceil((1.959964 * rates.std(ddof=1) / rates.mean() / 0.1) ** 2)


def test_log_interval_by_hand() -> None:
    found = log_interval([1.0, 2.0, 3.0])
    assert (found.value, found.stderr) == (2.0, pytest.approx(3**-0.5))
    assert found.high / 2.0 == pytest.approx(math.exp(4.302653 * 3**-0.5 / 2)) == pytest.approx(2.0 / found.low)


# ---- models, monitors, dimensions, memories


@pytest.mark.parametrize("model", [sg.sdes.SME1, sg.sdes.SME2])
def test_sde_models_at_iterates(model: type[sg.SDE]) -> None:
    """Across the double well at (η, σ) = (.2, .9) by Heun with 4 substeps, whose bias is below .5 %. Standard error 2 %, resolves 15 %."""
    sde = model(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2)
    result = sg.rare_exit_time(sg.kernels.Heun(sde, 0.05), [-1.0], region=LEFT, seed=5, effort=512)
    agrees(result, oracles.skeleton_mean_exit(sde, -1.0, LEFT).steps)
    assert result.recipe["moves a tick"] == 4


def test_rare_exits_of_sde_models() -> None:
    """HA-SME by exact steps leaves a quadratic as SGD does (8.7e5 ticks), SME-1 does not (1.63e6): told apart at a standard error of 5 %."""
    kernel, start, region, exact = quadratic(0.1, 11.0)
    noise = kernel.noise
    for model, steps in ((sg.sdes.HASME, exact), (sg.sdes.SME1, oracles.skeleton_mean_exit(sg.sdes.SME1(noise, 1.0), 0.0, region).steps)):
        result = sg.rare_exit_time(sg.kernels.ExactOU(model(noise, 1.0), 0.5), start, region=region, seed=6, effort=512)
        agrees(result, steps)
    with pytest.raises(CheckFailed):
        agrees(result, exact)


@pytest.mark.parametrize("monitor", ["bridge", "shift"])
def test_continuous_watch(monitor: str) -> None:
    """SME-1 across the double well watched continuously, by eighths of a tick: 276.6 ticks, 353 at iterates. Standard error 2.5 %, resolves 20 %."""
    sde = sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2)
    result = sg.rare_exit_time(sg.kernels.Heun(sde, 0.025), [-1.0], region=LEFT, seed=7, effort=256, monitor=monitor)
    agrees(result, oracles.sde_mean_exit(sde, -1.0, LEFT).mean / 0.2)
    with pytest.raises(CheckFailed):
        agrees(result, oracles.skeleton_mean_exit(sde, -1.0, LEFT).steps)


def against_direct(kernel: sg.Kernel, start: Any, region: Any, *, paths: int, horizon: float, **options: Any) -> None:
    """The logarithms of both means differ by less than 5 joint standard errors (false alarm 1e-6 for normal errors)."""
    split = sg.rare_exit_time(kernel, start, region=region, seed=8, **options)
    direct = sg.exit_times(kernel, start, region=region, horizon=horizon, paths=paths, seed=8).mean()
    joint = math.hypot(split.mean.stderr / split.mean.value, direct.stderr / direct.value)
    assert abs(math.log(split.mean.value / direct.value)) < 5 * joint
    assert joint < 0.06  # a factor of 1.45 is seen with power .9


def test_mueller_brown_against_direct_simulation() -> None:
    """Out of the deepest minimum over the first saddle, 1.5e3 steps, by a score that does not follow the path. 700 direct paths: resolves 30 %."""
    objective = sg.objectives.MullerBrown(scale=0.01)
    kernel = sg.kernels.SGD(sg.noises.Gaussian(objective, 20.0), 0.02)
    against_direct(kernel, list(objective.facts.minima[0]), HalfSpace([0.0, -1.0], -0.62), paths=700, horizon=2000.0, effort=256)


def test_a_ball_in_the_plane_against_direct_simulation() -> None:
    """Correlated noise in a double well, out of a ball around the minimum, which paths leave on all sides. Resolves 35 %."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(2), [[1.2, 0.5], [0.5, 0.8]])
    against_direct(sg.kernels.SGD(noise, 0.1), [-1.0, 0.0], Ball([-1.0, 0.0], 1.0), paths=800, horizon=1e4, effort=512)


def fit() -> tuple[sg.Objective, float]:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 1)), rng.normal(size=12) * 2
    return sg.objectives.LeastSquares(X, y), float(np.linalg.lstsq(X, y, rcond=None)[0][0])


def test_a_kernel_with_a_memory_and_a_period() -> None:
    """Epoch shuffling: the permutation goes with the path, and its place in the epoch too. 32.7 steps; resolves 10 %. Independent minibatches leave in 7."""
    objective, center = fit()
    region = Interval(center - 0.35, center + 0.35)
    shuffled = sg.kernels.ShuffledSGD(objective, 3, 0.25)
    assert shuffled.period == 4
    against_direct(shuffled, [center], region, paths=20_000, horizon=1e3, effort=128, replicas=64)
    against_direct(sg.kernels.SGD(sg.noises.Minibatch(objective, 3), 0.25), [center], region, paths=10_000, horizon=1e3, effort=128, replicas=32)


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


# ---- results


class Backwards(Executor):
    """Runs what it is given last first, through a pickle and back."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], bytes]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, pickle.dumps((fn, args, kwargs))))
        if len(self.waiting) == 4:
            for each, job in reversed(self.waiting):
                function, arguments, keywords = pickle.loads(job)
                each.set_result(function(*arguments, **keywords))
        return future


def test_results_do_not_depend_on_the_executor() -> None:
    case = quadratic(0.1, 5.0)
    options = {"effort": 1024, "replicas": 32}
    here, there, other = run(case, seed=9, **options), run(case, seed=9, executor=Backwards(), **options), run(case, seed=10, **options)
    assert (here.replica_rates == there.replica_rates).all()
    assert here.evaluations == there.evaluations
    assert here.fates == there.fates
    assert (here.replica_rates != other.replica_rates).all()
    text = str(here)
    assert "mean exit time" in text
    assert "Gaussian, constant covariance" in text
    assert here.mean.value == here.steps.value * here.tick


def test_single_precision_is_kept() -> None:
    kernel, _, region, exact = quadratic(0.1, 8.0)
    result = sg.rare_exit_time(kernel, torch.zeros(1, dtype=torch.float32), region=region, seed=1, effort=256)
    assert result.conventions.dtype == "float32"
    agrees(result, exact)


def test_paths_that_break_are_counted_and_leave_no_mean() -> None:
    """HA-SME does not exist around the top of this barrier: exits and breaks compete. The rate is that of direct simulation (standard errors 3 and 9 %)."""
    kernel = sg.kernels.Heun(sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2), 0.05)
    result = sg.rare_exit_time(kernel, [-1.0], region=LEFT, seed=1, effort=256)
    assert result.fates["out_of_domain"] > 0
    assert result.tally.counts["log out of domain"] >= result.fates["out_of_domain"]
    assert "mean exit time" not in str(result)
    with pytest.raises(InputError, match="broke before they left"):
        _ = result.mean
    direct = sg.exit_times(kernel, [-1.0], region=LEFT, horizon=1e3, paths=1000, seed=1).rate()
    assert abs(result.rate.value - direct.value) < 5 * math.hypot(result.rate.stderr, direct.stderr)


# ---- what is refused


def still() -> sg.Kernel:
    return sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([0.1]), 0.0), 1.0)


def flat(theta: Tensor) -> Tensor:
    return torch.ones_like(theta[:, 0])


def undefined(theta: Tensor) -> Tensor:
    return theta[:, 0] * math.nan


def crossed(theta: Tensor) -> Tensor:
    return theta[:, 0] < 2


@pytest.mark.parametrize(
    ("kernel", "start", "options", "error", "words"),
    [
        (None, [0.0], {"region": Where(crossed)}, InputError, "no border, so nothing tells how near"),
        (None, [0.0], {"region": crossed}, InputError, "Give score=…"),
        (None, [11.0], {}, InputError, "lie outside the region"),
        (None, [0.0], {"region": Ball([0.0, 0.0], 1.0)}, InputError, "region has dimension 2"),
        (None, [0.0], {"score": 3.0}, InputError, "wanted a function"),
        (None, [0.0], {"score": undefined}, InputError, "NaN at a finite point"),
        (None, [0.0], {"score": torch.ones_like}, InputError, "wanted floating numbers"),
        (None, [0.0], {"score": flat}, OracleRefusal, "give another score"),
        (None, [0.0], {"levels": (1.0, 2.0)}, InputError, "falling scores"),
        (None, [0.0], {"levels": (4.0,)}, InputError, "at least two"),
        (None, [0.0], {"levels": (0.5, 0.4)}, InputError, "paths came from the core"),
        (None, [0.0], {"levels": (12.0, 6.0)}, OracleRefusal, "nor came back into the core"),
        (None, [0.0], {"effort": 4}, InputError, "effort = 4"),
        (None, [0.0], {"replicas": 2}, InputError, "replicas = 2"),
        (None, [0.0], {"burn_in": 0.0}, InputError, "burn_in"),
        (None, [0.0], {"monitor": "bridge"}, InputError, "between its steps"),
        (still(), [0.0], {}, OracleRefusal, "no path ever leaves"),
        (still(), [1.0], {}, OracleRefusal, "there is no noise"),
    ],
)  # fmt: skip
def test_bad_input(kernel: sg.Kernel | None, start: list[float], options: dict[str, Any], error: type[Exception], words: str) -> None:
    options = {"region": Interval(-10.0, 10.0), "effort": 64, "replicas": 8, **options}
    with pytest.raises(error, match=words):
        sg.rare_exit_time(kernel or quadratic(0.1, 3.0)[0], start, seed=1, **options)


def test_a_second_well_inside_the_region_is_refused() -> None:
    """Paths that cross into the other well come back after thousands of steps, if ever: no cycle, no flux."""
    kernel = double_well(0.1, 0.6)[0]
    with pytest.raises(OracleRefusal, match="linger somewhere else"):
        sg.rare_exit_time(kernel, [-1.0], region=Interval(-math.inf, 2.0), seed=1)


def test_what_never_settles_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgdsde.splitting_plan.MAX_SETTLING", 256)
    walk = sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([0.0]), 1.0), 1.0)
    with pytest.raises(OracleRefusal, match="does not settle"):
        sg.rare_exit_time(walk, [0.0], region=Interval(-1e4, 1e4), seed=1)


def test_jumps_that_cannot_be_divided_are_refused() -> None:
    """ηλ near 1: every iterate starts afresh, and an integrator of one step a tick has no parts. SGD's Gaussian noise has."""
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([0.99]), 1.0)
    with pytest.raises(OracleRefusal, match="not separated by the size of a step"):
        sg.rare_exit_time(sg.kernels.ExactOU(sg.sdes.HASME(noise, 1.0), 1.0), [0.0], region=Interval(-6, 6), seed=1)


def test_few_distinct_points_are_warned_of() -> None:
    with pytest.warns(SgdsdeWarning, match="distinct points stand behind a level"):
        run(quadratic(0.1, 8.0), effort=16, replicas=8, levels=(6.0, 4.0, 2.0))
