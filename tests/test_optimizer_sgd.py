"""Momentum, schedules and fresh labels: against torch.optim.SGD and its schedulers one model at a time, and against exact laws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sgdsde as sg
from sgdsde.kernel import State
from sgdsde.kernels import Constant, Cosine, HeavyBall, Nesterov, OptimizerSGD, Plain, ShuffledSGD, StepDecay, Warmup
from sgdsde.noise import Noise
from sgdsde.objectives import Network, WeightDecay
from sgdsde.stats import CheckFailed, check_covariance
from sgdsde.types import InputError

T64 = torch.float64
ETA = 0.1


def network(loss: str = "cross_entropy") -> Network:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 5, generator=generator, dtype=T64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    y = torch.randn(12, 3, generator=generator, dtype=T64)
    return Network(module, loss, x, torch.arange(12) % 3 if loss == "cross_entropy" else y)


def full(objective: sg.Objective) -> Noise:
    """No noise at all: the full batch."""
    return sg.noises.MinibatchWithoutReplacement(objective, objective.n)


def torchs(f: Network, steps: int, batches: Tensor | None = None, schedule: Callable[[Any], Any] | None = None, **settings: Any) -> Tensor:
    """The parameters after ``steps`` of torch.optim.SGD."""
    module = f.module_at(f.flatten())
    optimizer = torch.optim.SGD(module.parameters(), lr=ETA, **settings)
    scheduler = None if schedule is None else schedule(optimizer)
    x, y = f.inputs.original, f.targets.original
    for k in range(steps):
        rows = torch.arange(f.n) if batches is None else batches[k]
        optimizer.zero_grad()
        functional.cross_entropy(module(x[rows]), y[rows]).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return f.flatten(module)


def ours(kernel: OptimizerSGD | ShuffledSGD, f: Network, steps: int) -> Tensor:
    return sg.simulate(kernel, f.flatten(), horizon=steps * ETA, paths=1, seed=1, progress=False).states[-1, 0]


def follows(update: Any, schedule: Any, decay: float, reference: Tensor, steps: int = 30) -> None:
    f = network()
    objective = WeightDecay(f, decay) if decay else f
    found = ours(OptimizerSGD(full(objective), ETA, update=update, schedule=schedule), f, steps)
    assert torch.allclose(found, reference, rtol=1e-11, atol=1e-13)


CASES: dict[str, tuple[Any, Any, float, dict[str, Any], Callable[[Any], Any] | None]] = {
    "plain": (Plain(), Constant(), 0.0, {}, None),
    "heavy ball": (HeavyBall(0.9), Constant(), 0.0, {"momentum": 0.9}, None),
    "Nesterov": (Nesterov(0.9), Constant(), 0.0, {"momentum": 0.9, "nesterov": True}, None),
    "all together": (
        Nesterov(0.7), StepDecay(7, 0.5), 0.05, {"momentum": 0.7, "nesterov": True, "weight_decay": 0.05},
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.5),
    ),
    "cosine": (HeavyBall(0.5), Cosine(30), 0.0, {"momentum": 0.5}, lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)),
    "warm-up": (
        Plain(), Warmup(10, Constant()), 0.0, {},
        lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, (k + 1) / 10)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_thirty_steps_are_those_of_torchs_optimizer(case: str) -> None:
    update, schedule, decay, settings, scheduler = CASES[case]
    f = network()
    follows(update, schedule, decay, torchs(f, 30, schedule=scheduler, **settings))


@pytest.mark.parametrize(
    ("case", "update", "schedule", "decay"),
    [
        ("heavy ball", Nesterov(0.9), Constant(), 0.0),
        ("Nesterov", HeavyBall(0.9), Constant(), 0.0),
        ("heavy ball", HeavyBall(0.81), Constant(), 0.0),
        ("cosine", HeavyBall(0.5), Cosine(29), 0.0),
        ("all together", Nesterov(0.7), StepDecay(8, 0.5), 0.05),
        ("all together", Nesterov(0.7), StepDecay(7, 0.5), 0.025),
    ],
)
def test_another_optimizer_would_be_seen(case: str, update: Any, schedule: Any, decay: float) -> None:
    """Nesterov for the heavy ball, β² for β, a schedule off by one, half the decay."""
    _, _, _, settings, scheduler = CASES[case]
    with pytest.raises(AssertionError):
        follows(update, schedule, decay, torchs(network(), 30, schedule=scheduler, **settings))


def test_shuffled_epochs_with_momentum_are_torchs() -> None:
    """The kernel's permutations handed to torch.optim.SGD, batch for batch."""
    f, steps = network(), 11
    kernel = ShuffledSGD(f, 5, ETA, update=HeavyBall(0.9), schedule=StepDecay(4, 0.5))
    generator = torch.Generator().manual_seed(3)
    state, batches = kernel.init(f.flatten()[None], generator), []
    for k in range(steps):
        state = kernel.advance(state, k, generator)
        position = k % kernel.epoch
        batches.append(state.memory[0][0, position * 5 : (position + 1) * 5])
    reference = torchs(f, steps, torch.stack(batches), lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5), momentum=0.9)
    assert torch.allclose(state.theta[0], reference, rtol=1e-11, atol=1e-13)


# --- the law with noise ----------------------------------------------------------------------------------------------------------------------------


def heavy_ball_moments(H: np.ndarray, sigma: np.ndarray, beta: float, steps: int) -> np.ndarray:
    """Cov θ_k from θ_0 = v_0 = 0: (θ, v)⁺ = F(θ, v) + (−ηξ, ξ), F = [[I − ηH, −ηβI], [H, βI]]."""
    d = len(H)
    eye = np.eye(d)
    F = np.block([[eye - ETA * H, -ETA * beta * eye], [H, beta * eye]])
    push = np.block([[-ETA * eye], [eye]])
    V = np.zeros((2 * d, 2 * d))
    for _ in range(steps):
        V = F @ V @ F.T + push @ sigma @ push.T
    return V[:d, :d]


def has_heavy_ball_law(kernel: OptimizerSGD, beta: float) -> None:
    """40,000 paths, 25 steps: the covariance at false alarm 1e-6, resolving 5 % of a variance."""
    run = sg.simulate(kernel, torch.zeros(2, dtype=T64), horizon=25 * ETA, paths=40_000, seed=5, progress=False)
    H, sigma = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, 0.3], [0.3, 0.5]])
    expected = heavy_ball_moments(H, sigma, beta, 25)
    scale = np.sqrt(np.diag(expected))
    check_covariance(run.states[0].numpy() / scale, expected / np.outer(scale, scale))


def gaussian() -> Noise:
    return sg.noises.Gaussian(sg.objectives.Quadratic([[2.0, 0.5], [0.5, 1.0]]), [[1.0, 0.3], [0.3, 0.5]])


def test_heavy_ball_has_the_exact_law_of_the_extended_chain() -> None:
    has_heavy_ball_law(OptimizerSGD(gaussian(), ETA, update=HeavyBall(0.8)), 0.8)


class Dampened(HeavyBall):
    """(1 − β)ĝ for ĝ."""

    def apply(self, theta: Tensor, memory: tuple[Tensor, ...], g: Tensor, eta: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        return super().apply(theta, memory, (1 - self.momentum) * g, eta)


class Forgetful(OptimizerSGD):
    """v is set to zero at each step."""

    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        return super().advance(State(state.theta, self.update.start(state.theta)), k, generator)


@pytest.mark.parametrize("mutant", [OptimizerSGD(gaussian(), ETA, update=Dampened(0.8)), Forgetful(gaussian(), ETA, update=HeavyBall(0.8))])
def test_mutants_fail(mutant: OptimizerSGD) -> None:
    with pytest.raises(CheckFailed):
        has_heavy_ball_law(mutant, 0.8)


def test_velocity_stays_with_its_path_when_others_leave() -> None:
    """Paths that stop are taken out of the block; the others go on as if they had been alone, velocities included."""
    kernel = OptimizerSGD(full(network()), ETA, update=HeavyBall(0.9))
    start = network().flatten() + torch.randn(6, network().dim, generator=torch.Generator().manual_seed(4), dtype=T64)
    limit = float(start[:, 0].sort().values[3])
    free = sg.simulate(kernel, start, horizon=20 * ETA, seed=1, progress=False)
    stopped = sg.simulate(kernel, start, horizon=20 * ETA, seed=1, stop=lambda theta: theta[:, 0] > limit, progress=False)
    on = stopped.status == int(sg.Status.OK)
    assert 0 < int(on.sum()) < 6
    assert torch.allclose(free.states[-1][on], stopped.states[-1][on], rtol=1e-12)


def test_what_a_result_says_of_the_optimizer() -> None:
    kernel = OptimizerSGD(sg.noises.Minibatch(network(), 2), ETA, update=HeavyBall(0.9), schedule=Cosine(10))
    assert "HeavyBall(momentum=0.9), Cosine(steps=10" in kernel.conventions().sampling
    assert OptimizerSGD(sg.noises.Minibatch(network(), 2), ETA).conventions() == sg.kernels.SGD(sg.noises.Minibatch(network(), 2), ETA).conventions()
    assert kernel.period == 0
    assert ShuffledSGD(network(), 3, ETA, update=HeavyBall(0.5)).period == 4


@pytest.mark.parametrize(
    "make",
    [lambda: HeavyBall(1.0), lambda: Nesterov(-0.1), lambda: Cosine(0), lambda: Cosine(5, 1.5), lambda: StepDecay(3, 0.0), lambda: StepDecay(1.5, 0.5),
     lambda: Warmup(True), lambda: OptimizerSGD(gaussian(), 0.0)],
)  # fmt: skip
def test_unusable_settings(make: Callable[[], Any]) -> None:
    with pytest.raises(InputError):
        make()


def test_rates_of_exit_are_refused_under_a_schedule() -> None:
    from sgdsde.splitting_moves import WholeTicks

    with pytest.raises(InputError, match="never repeats"):
        WholeTicks(OptimizerSGD(gaussian(), ETA, schedule=Cosine(10)))


# --- labels drawn anew ------------------------------------------------------------------------------------------------------------------------------


def is_gauss_newton(kind: type[sg.noises.LabelNoise]) -> None:
    """(1/B)[Cov gᵢ·(n−B)/(n−1) + (2s²/c)G], G from an operator that knows nothing of noise."""
    f, s, B = network("mse"), 0.7, 4
    theta = f.initial(1, torch.Generator().manual_seed(3))
    G = sg.curvature.gauss_newton_operator(f, theta[0]).dense()
    for batches in (sg.noises.Minibatch(f, B), sg.noises.MinibatchWithoutReplacement(f, B)):
        expected = batches.covariance(theta)[0] + 2 * s**2 / 3 * G / B
        assert torch.allclose(kind(batches, s).covariance(theta)[0], expected, rtol=1e-10, atol=1e-13)
    only = kind(sg.noises.MinibatchWithoutReplacement(f, f.n), s).covariance(theta)[0]
    assert torch.allclose(only, 2 * s**2 / 3 * G / f.n, rtol=1e-10, atol=1e-13)


def test_label_noise_is_gauss_newton_beside_the_batches() -> None:
    is_gauss_newton(sg.noises.LabelNoise)


class HalfLabels(sg.noises.LabelNoise):
    """Without the 2 of the squared error's derivative."""

    def factor(self, theta: Tensor, zeta: Tensor) -> Tensor:
        return super().factor(theta, zeta) / 2


class SquaredScale(sg.noises.LabelNoise):
    """s² for s."""

    def factor(self, theta: Tensor, zeta: Tensor) -> Tensor:
        return self.scale * super().factor(theta, zeta)


@pytest.mark.parametrize("kind", [HalfLabels, SquaredScale])
def test_wrong_label_noise_fails(kind: type[sg.noises.LabelNoise]) -> None:
    with pytest.raises(AssertionError):
        is_gauss_newton(kind)


def test_sampled_labels_have_the_covariance_of_all_labels() -> None:
    """Every sample with every label, by autograd one at a time: Σᵢ Σ_c qᵢ_c g_ic g_icᵀ/n − ggᵀ is B times Σ."""
    hard = network()
    q = torch.randn(12, 3, generator=torch.Generator().manual_seed(6), dtype=T64).softmax(1)
    f = Network(hard.module, "cross_entropy", hard.inputs.original, q)
    theta = f.initial(1, torch.Generator().manual_seed(3))
    second, mean = torch.zeros(f.dim, f.dim, dtype=T64), torch.zeros(f.dim, dtype=T64)
    for i in range(12):
        for c in range(3):
            point = theta.clone().requires_grad_(True)
            output = f.vmapped.outputs(point, f.inputs.original[i : i + 1])[0]
            (g,) = torch.autograd.grad(functional.cross_entropy(output, torch.tensor([c])), point)
            second += q[i, c] * torch.outer(g[0], g[0]) / 12
            mean += q[i, c] * g[0] / 12
    noise = sg.noises.SampledLabels(sg.noises.Minibatch(f, 4))
    assert torch.allclose(sg.calculus.grad(f, theta)[0], mean, atol=1e-13)
    assert torch.allclose(noise.covariance(theta)[0], (second - torch.outer(mean, mean)) / 4, rtol=1e-10, atol=1e-13)


def test_label_noise_goes_the_general_way_too() -> None:
    """The same draws through vmap: the random numbers are those of the noise, not of the network's method."""
    f = network("mse")
    general = copy.deepcopy(f)
    general.method = general.vmapped
    theta = f.initial(3, torch.Generator().manual_seed(3))
    draws = [sg.noises.LabelNoise(sg.noises.Minibatch(g, 4), 0.5).draw(theta, torch.Generator().manual_seed(8)) for g in (f, general)]
    assert torch.allclose(*draws, rtol=1e-11, atol=1e-13)


def test_labels_that_cannot_be_drawn_are_refused() -> None:
    f = network()
    with pytest.raises(InputError, match="loss 'mse'"):
        sg.noises.LabelNoise(sg.noises.Minibatch(f, 2), 0.5)
    with pytest.raises(InputError, match="wanted probabilities"):
        sg.noises.SampledLabels(sg.noises.Minibatch(f, 2))
    with pytest.raises(InputError, match="draws no batches"):
        sg.noises.LabelNoise(gaussian(), 0.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale"):
        sg.noises.LabelNoise(sg.noises.Minibatch(network("mse"), 2), 0.0)
