"""torchsde as a kernel: the same paths as our own integrators on the same numbers, exact clocks, its own Brownian motion, refusals in words."""

from typing import Any

import pytest
import torch
import torchsde
from torch import Tensor

import sgdsde as sg
from sgdsde.kernels import EulerMaruyama, Heun, TorchSDE
from sgdsde.kernels.torch_sde import _StreamingMotion
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.rng import stream
from sgdsde.stats import check_covariance, check_mean
from sgdsde.types import InputError, Status, report_count, report_flags

WELL = sg.noises.Gaussian(sg.objectives.DoubleWell(2), [[0.5, 0.1], [0.1, 0.3]])
SME1 = sg.sdes.SME1(WELL, 0.1)
GENERAL = sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.DoubleWell(2), growing_covariance), 0.05)


def run(kernel: Any, **changed: Any) -> sg.Trajectory:
    recipe: dict[str, Any] = {"horizon": 40 * kernel.tick, "paths": 300, "seed": 5, "block_size": 128}
    return sg.simulate(kernel, [0.5, -0.5], **(recipe | changed))


@pytest.mark.parametrize(
    ("method", "own", "sde"), [("euler", EulerMaruyama, SME1), ("heun", Heun, SME1), ("euler", EulerMaruyama, GENERAL)], ids=["euler", "heun", "general"]
)
def test_paths_are_those_of_our_own_integrator(method: str, own: Any, sde: sg.SDE) -> None:
    """Nonlinear drift, and for euler a diffusion of θ too: the same numbers, up to rounding in the scaling of increments."""
    theirs, ours = run(TorchSDE(sde, sde.eta / 4, method)), run(own(sde, sde.eta / 4))
    assert torch.allclose(theirs.states, ours.states, rtol=1e-9, atol=1e-11)
    assert not torch.allclose(theirs.states, run(own(sde, sde.eta / 5)).states, rtol=1e-3)


@pytest.mark.parametrize("method", ["srk", "midpoint"])
def test_other_methods_stay_near_heun_on_the_same_increments(method: str) -> None:
    """srk draws a second normal a step, so it is compared in law: means of the state and its square over 2e4 paths (false alarm 1e-6)."""
    theirs = run(TorchSDE(SME1, 0.025, method), paths=20_000, block_size=None).states[-1]
    ours = run(Heun(SME1, 0.025), paths=20_000, seed=6, block_size=None).states[-1]
    check_mean(theirs - ours, 0.0)
    check_mean(theirs**2 - ours**2, 0.0)
    with pytest.raises(AssertionError):
        check_mean(theirs - run(Heun(SME1, 0.025), paths=20_000, seed=6, horizon=1.0, block_size=None).states[-1], 0.0)


class Counting(sg.sdes.SME1):
    """Counts its evaluations."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        report_count("drifts", 1)
        return super().drift(t, x)


@pytest.mark.parametrize(("method", "stages"), [("euler", 1), ("srk", 2), ("heun", 2), ("midpoint", 2)])
@pytest.mark.parametrize(("eta", "substeps"), [(0.1, 3), (0.1 / 3, 7), (1e-3, 10)])
def test_number_of_steps_is_exact(method: str, stages: int, eta: float, substeps: int) -> None:
    """500 ticks of an awkward η in one call: float-summed times would make a step too many; the look at shapes is no evaluation."""
    sde = Counting(WELL, eta)
    done = run(TorchSDE(sde, eta / substeps, method), horizon=500 * eta, paths=2)
    # srk's second stage evaluates the first one's drift again
    assert done.tally.counts["drifts"] == 500 * substeps * (3 if method == "srk" else stages)


def test_torchsde_alone_takes_a_step_too_many() -> None:
    """Why time is counted in steps: on [0, 1] with dt = 0.1 torchsde's clock adds up to 0.9999999999999999 and goes on."""
    calls = []

    class Flow:
        noise_type, sde_type = "additive", "ito"

        def f(self, t: Tensor, y: Tensor) -> Tensor:
            calls.append(float(t))
            return torch.zeros_like(y)

        def g(self, t: Tensor, y: Tensor) -> Tensor:
            return torch.zeros(*y.shape, 1, dtype=y.dtype)

    torchsde.sdeint(Flow(), torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64), dt=0.1, method="euler")
    assert len(calls) - 1 == 11  # the first call looks at the shape


def test_one_call_per_save_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = []
    original = torchsde.sdeint

    def counted(*args: Any, **kwargs: Any) -> Any:
        spans.append(args[2].tolist())
        return original(*args, **kwargs)

    monkeypatch.setattr(torchsde, "sdeint", counted)
    run(TorchSDE(SME1, 0.05), save=(0.0, 0.5, 4.0), paths=3)
    assert spans == [[0.0, 10.0], [0.0, 70.0]]
    spans.clear()
    run(TorchSDE(SME1, 0.05), horizon=0.5, stop=lambda theta: theta[:, 0] > 9, paths=3)
    assert spans == [[0.0, 2.0]] * 5  # somebody watches: tick by tick


def test_stop_and_saves_do_not_change_the_paths() -> None:
    def beyond(theta: Tensor) -> Tensor:
        return theta[:, 0] > 1.15

    kernel, own = TorchSDE(SME1, 0.025, "heun"), Heun(SME1, 0.025)
    theirs, ours = run(kernel, stop=beyond), run(own, stop=beyond)
    assert 10 < theirs.counts()["exited"] < 290
    assert torch.equal(theirs.status_tick, ours.status_tick)
    assert torch.allclose(theirs.states, ours.states, rtol=1e-9)
    assert torch.equal(run(kernel).states[-1], run(kernel, save=[k * 0.1 for k in range(41)]).states[-1])


class Cliff(sg.SDE):
    """dX = dW, and nothing beyond |x| = 1: NaN there, reported as out of the domain or not."""

    dim = noise_dim = 1
    additive = True

    def __init__(self, *, known: bool) -> None:
        self.known = known

    def drift(self, t: float, x: Tensor) -> Tensor:
        beyond = x.abs() > 1
        if self.known:
            report_flags(beyond[:, 0])
            report_count("beyond", int(beyond.sum()))
        return torch.where(beyond, torch.nan, 0.0)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return dw


@pytest.mark.parametrize("known", [True, False])
def test_failing_paths_have_the_tick_and_the_point_of_a_run_tick_by_tick(known: bool) -> None:
    """A leap over 100 ticks in which paths fail is repeated tick by tick: status, tick, frozen point and counters are those of Euler–Maruyama."""
    theirs, ours = (
        sg.simulate(kernel, [0.0], horizon=1.0, paths=300, seed=1)
        for kernel in (TorchSDE(Cliff(known=known), 0.01, "euler"), EulerMaruyama(Cliff(known=known), 0.01))
    )
    assert torch.equal(theirs.status, ours.status)
    assert torch.equal(theirs.status_tick, ours.status_tick)
    assert theirs.tally.counts == ours.tally.counts
    assert torch.allclose(theirs.states, ours.states, equal_nan=True)
    assert set(theirs.status.tolist()) == {int(Status.OK), int(Status.OUT_OF_DOMAIN if known else Status.DIVERGED)}


def test_motion_has_the_law_of_brownian_motion_and_its_integral() -> None:
    """Cov(W, U) over a unit cell is [[1, 1/2], [1/2, 1/3]]; cells are independent. 1e5 paths, false alarm 1e-6; without the bridge's 1/12 it fails."""
    motion = _StreamingMotion(torch.zeros(100_000, 1, dtype=torch.float64), 1, stream(3, "motion"))
    first, second = (torch.cat(motion(float(k), k + 1.0, return_U=True), 1) for k in range(2))
    whole = torch.zeros(4, 4, dtype=torch.float64)
    whole[:2, :2] = whole[2:, 2:] = torch.tensor([[1, 1 / 2], [1 / 2, 1 / 3]])
    check_covariance(torch.cat([first, second], 1), whole)
    with pytest.raises(AssertionError):
        check_covariance(first[:, :1] / 2, [[1 / 3]])


def test_motion_answers_in_order_only() -> None:
    motion = _StreamingMotion(torch.zeros(2, 1), 3, stream(3, "motion"))
    assert motion(0.0, 1.0).shape == (2, 3)
    assert motion.shape == (2, 3)
    assert motion.dtype == torch.float32
    assert motion.device == torch.device("cpu")
    assert "position=1" in repr(motion)
    for query in [(0.0, 1.0), (1.0, 1.5), (2.0, 3.0), (1.0,)]:
        with pytest.raises(RuntimeError, match="where the cell after 1 is next"):
            motion(*query)


def test_agrees_with_torchsde_as_shipped() -> None:
    """One SDE through our streaming motion and scaled clock, and through plain sdeint with its BrownianInterval: covariances of 2e4 paths agree
    (false alarm 1e-6, resolves 6 % of a variance); half the noise does not.
    """
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([[1.0, 0.3], [0.3, 0.5]]), [[1.0, 0.2], [0.2, 0.5]])
    sde = sg.sdes.SME1(noise, 0.4)
    D = sde.diffuse(0.0, torch.zeros(2, 2).double(), torch.eye(2).double()).T

    class Plain:
        noise_type, sde_type = "additive", "ito"

        def f(self, t: Tensor, y: Tensor) -> Tensor:
            return sde.drift(0.0, y)

        def g(self, t: Tensor, y: Tensor) -> Tensor:
            return D.expand(y.shape[0], 2, 2)

    motion = torchsde.BrownianInterval(0.0, 0.8, size=(20_000, 2), dtype=torch.float64, entropy=4, levy_area_approximation="space-time")
    begin = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    shipped = torchsde.sdeint(Plain(), begin.repeat(20_000, 1), torch.tensor([0.0, 0.8], dtype=torch.float64), bm=motion, dt=0.2, method="srk")[-1]
    ours = sg.simulate(TorchSDE(sde, 0.2, "srk"), begin, horizon=0.8, paths=20_000, seed=2).states[-1]
    check_mean(shipped - ours, 0.0)
    products = [torch.stack([(c[:, 0]) ** 2, c[:, 0] * c[:, 1], c[:, 1] ** 2], 1) for c in (shipped - shipped.mean(0), ours - ours.mean(0))]
    check_mean(products[0] - products[1], 0.0)
    with pytest.raises(AssertionError):
        check_mean(products[0] - products[1] / 2, 0.0)


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run(TorchSDE(SME1, 0.05), paths=3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TorchSDE(SME1, 0.1, "milstein"), "no torchsde method that this kernel offers"),
        (lambda: TorchSDE(SME1, 0.1, "eular"), "Did you mean 'euler'"),
        (lambda: TorchSDE(GENERAL, 0.05, "srk"), "srk is right for additive noise only, and the diffusion of HASME depends on the state"),
        (lambda: TorchSDE(GENERAL, 0.05, "heun"), "Use method='euler'"),
        (lambda: TorchSDE(SME1, 0.03), "does not divide the tick"),
        (lambda: TorchSDE(SME1, 0.0), "dt = 0.0; wanted a finite number > 0"),
    ],
)
def test_refusals(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
