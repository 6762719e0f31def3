"""Every kernel's law against exact moments, and the orders of the integrators, without sharing a formula with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import sympy
import torch
from battery.found import classes, examples
from torch import Tensor

import sgdsde as sg
from sgdsde.kernel import DrivenKernel, Kernel
from sgdsde.kernels.driven import Around
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.linear import AffineStep
from sgdsde.stats import check_covariance, check_mean

ALL = examples(sg.kernels, Kernel)
PATHS = 100_000


def start(kernel: Kernel) -> Tensor:
    return torch.linspace(0.4, -0.6, kernel.start_dim, dtype=torch.float64)


# --- laws ------------------------------------------------------------------------------------------------------------------------------------

Law = tuple[np.ndarray, np.ndarray, np.ndarray]  # one step: x ↦ F x + s + N(0, V)


def model(kernel: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    A, c, Q = (part.numpy() for part in kernel.sde.affine())
    return A, c, Q, kernel.tick / kernel.substeps


def euler(kernel: Any) -> Law:
    A, c, Q, h = model(kernel)
    return np.eye(len(A)) + A * h, c * h, Q * h


def heun(kernel: Any) -> Law:
    A, c, Q, h = model(kernel)
    half = np.eye(len(A)) + A * h / 2
    return np.eye(len(A)) + A * h @ half, half @ c * h, half @ Q @ half.T * h


def srk(kernel: Any) -> Law:
    """SRA1 on a linear drift: x + (Ax+c)h + A(Ax+c)h²/2 + DW + A·D·U; Cov(W, U) = h²/2, Var U = h³/3."""
    A, _, Q, h = model(kernel)
    F, s, _ = heun(kernel)
    return F, s, Q * h + (A @ Q + Q @ A.T) * h**2 / 2 + A @ Q @ A.T * h**3 / 3


def exact(kernel: Any) -> Law:
    """scipy: e^{Ah} of the augmented matrix, and V by quadrature of e^{As}Qe^{Aᵀs}."""
    A, c, Q, h = model(kernel)
    d = len(A)
    top = scipy.linalg.expm(h * np.block([[A, c[:, None]], [np.zeros((1, d + 1))]]))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    flows = [scipy.linalg.expm(A * h * (node + 1) / 2) for node in nodes]
    return top[:d, :d], top[:d, d], sum(w * h / 2 * E @ Q @ E.T for w, E in zip(weights, flows, strict=True))


def sgd(kernel: Any) -> Law:
    H, center = kernel.noise.objective.matrix.numpy(), kernel.noise.objective.center.numpy()
    l = getattr(kernel, "l", 1)  # noqa: E741
    step = kernel.eta / l
    sigma = kernel.noise.covariance(torch.zeros(1, kernel.dim, dtype=torch.float64))[0].numpy()
    return np.eye(len(H)) - step * H, step * H @ center, step**2 * l * sigma


def law_of(kernel: Kernel) -> tuple[Law, int] | None:
    """One step's law and the steps in a tick, where the kernel is linear with constant noise."""
    if isinstance(kernel, sg.kernels.TorchSDE):
        methods = {"euler": euler, "srk": srk, "heun": heun, "midpoint": heun}
        return (methods[kernel.method](kernel), kernel.substeps) if kernel.sde.affine() is not None else None
    if isinstance(kernel, Around):
        return law_of(kernel.kernel)
    rules = {sg.kernels.EulerMaruyama: euler, sg.kernels.Heun: heun, sg.kernels.ExactOU: exact}
    if isinstance(kernel, Integrator):
        return rules[type(kernel)](kernel), kernel.substeps
    if isinstance(kernel, sg.kernels.SGD | sg.kernels.SVAG) and kernel.noise.constant_covariance:
        return sgd(kernel), getattr(kernel, "l", 1)
    return None


def moments(law: Law, steps: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    F, s, V = law
    C = np.zeros_like(V)
    for _ in range(steps):
        x, C = F @ x + s, F @ C @ F.T + V
    return x, C


def has_law(kernel: Kernel, law: Law, steps: int, *, ticks: tuple[int, ...] = (1, 5, 20)) -> None:
    """Mean and covariance at three times from 1e5 paths; false alarm 1e-6 each. Resolves 0.02 standard deviations in a mean and 3 % of a variance."""
    run = sg.simulate(kernel, start(kernel), horizon=ticks[-1] * kernel.tick, save=[k * kernel.tick for k in ticks], paths=PATHS, seed=17)
    for k, states in zip(ticks, run.states, strict=True):
        mean, covariance = moments(law, k * steps, start(kernel).numpy())
        scale = np.sqrt(np.diag(covariance))
        check_mean(states.numpy() / scale, mean / scale)
        check_covariance(states.numpy() / scale, covariance / np.outer(scale, scale))


LINEAR = [p for p in ALL if law_of(p.values[0]) is not None]


@pytest.mark.parametrize("cls", classes(sg.kernels, Kernel))
def test_class_brings_examples(cls: Any) -> None:
    assert cls.examples()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kernel", LINEAR)
def test_law_on_the_gpu_is_the_same(kernel: Kernel) -> None:
    """Start points on the device put the run there: its mean and covariance are those of the CPU's exact law (false alarm 1e-6)."""
    law = law_of(kernel)
    assert law is not None
    run = sg.simulate(kernel, start(kernel).cuda(), horizon=5 * kernel.tick, paths=PATHS, seed=17)
    assert run.states.is_cuda
    assert run.conventions.device.startswith("cuda")
    mean, covariance = moments(law[0], 5 * law[1], start(kernel).numpy())
    check_mean(run.states[0], mean)
    check_covariance(run.states[0], covariance)


def test_every_integrator_is_held_against_exact_moments() -> None:
    held = {type(p.values[0]) for p in LINEAR}
    integrators = {cls for cls in classes(sg.kernels, Kernel) if issubclass(cls, Integrator | sg.kernels.TorchSDE)}
    assert integrators <= held
    assert {p.values[0].method for p in LINEAR if isinstance(p.values[0], sg.kernels.TorchSDE)} == {"euler", "srk", "heun", "midpoint"}


@pytest.mark.parametrize("kernel", LINEAR)
def test_law_is_the_exact_one_of_the_kernel(kernel: Kernel) -> None:
    law = law_of(kernel)
    assert law is not None
    has_law(kernel, *law)


class HeunWithoutHalf(sg.kernels.Heun):
    """The average of the two drifts without its ½."""

    def affine_step(self) -> None:
        return None

    def model_step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        return theta + 2 * (super().model_step(theta, t, dw) - theta - self.sde.diffuse(t, theta, dw)) + self.sde.diffuse(t, theta, dw)


class EulerWithDt(sg.kernels.EulerMaruyama):
    """Increments of variance dt² for dt."""

    def step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        return super().step(theta, t, dw * self.dt**0.5)


class OffByOne(sg.kernels.EulerMaruyama):
    """One substep too many in a tick."""

    def advance(self, state: sg.kernel.State, k: int, generator: torch.Generator) -> sg.kernel.State:
        state = super().advance(state, k, generator)
        dw = sg.rng.normals(state.theta, self.noise_dim, generator, self.dt**0.5)
        return sg.kernel.State(self.step(state.theta, 0.0, dw))


class TransposedRoot(sg.kernels.ExactOU):
    """Lᵀ for L, V = LLᵀ."""

    def affine_step(self) -> AffineStep:
        step = super().affine_step()
        return AffineStep(step.F, step.s, torch.linalg.cholesky(step.G @ step.G.T).T)

    def prepare(self) -> None:
        self._linear = self.affine_step()


class RootOfEta(sg.kernels.SGD):
    """√η for η before the noise."""

    def advance(self, state: sg.kernel.State, k: int, generator: torch.Generator) -> sg.kernel.State:
        g = sg.calculus.grad(self.noise.objective, state.theta)
        noise = self.noise.draw(state.theta, generator) - g
        return sg.kernel.State(state.theta - self.eta * g - self.eta**0.5 * noise)


SADDLE = sg.sdes.HASME.examples()[0]


@pytest.mark.parametrize(
    ("mutant", "rule"),
    [
        (HeunWithoutHalf(SADDLE, 0.1), heun),
        (EulerWithDt(SADDLE, 0.1), euler),
        (OffByOne(SADDLE, 0.1), euler),
        (TransposedRoot(SADDLE, 0.4), exact),
        (RootOfEta(SADDLE.noise, 0.4), sgd),
        (sg.kernels.EulerMaruyama(SADDLE, 0.1), heun),
        (sg.kernels.TorchSDE(SADDLE, 0.4, "srk"), heun),
        (sg.kernels.SVAG(SADDLE.noise, 0.4, 2), sgd),
    ],
)
def test_mutants_and_other_methods_fail(mutant: Any, rule: Callable[[Any], Law]) -> None:
    """The last three are no mutants but kernels under another's law: the test tells methods apart (SVAG is counted as one step a tick)."""
    with pytest.raises(AssertionError):
        has_law(mutant, rule(mutant), getattr(mutant, "substeps", 1))


@pytest.mark.parametrize("kernel", [p for p in ALL if law_of(p.values[0]) is None and not isinstance(p.values[0], sg.kernels.Coupled)])
def test_first_step_has_the_exact_mean_and_covariance(kernel: Any) -> None:
    """θ − ηg and η²Σ(θ) at the start, whatever the noise, for SGD and its kin; b dt and Q dt for one Euler step. False alarm 1e-6, 4e4 paths."""
    x = start(kernel)[None]
    if isinstance(kernel, sg.kernels.TorchSDE):
        kernel = sg.kernels.TorchSDE(kernel.sde, kernel.tick, "euler")
        mean, covariance = x + kernel.sde.drift(0.0, x) * kernel.tick, kernel.sde.diffusion(0.0, x) * kernel.tick
    else:
        inner = kernel.kernel if isinstance(kernel, Around) else kernel
        noise = inner.noise if hasattr(inner, "noise") else sg.noises.MinibatchWithoutReplacement(inner.objective, inner.batch_size)
        mean = x - inner.eta * sg.calculus.grad(noise.objective, x)
        covariance = inner.eta**2 * noise.covariance(x)
        if isinstance(kernel, sg.kernels.SVAG):
            kernel = OneStepOfSVAG(kernel.noise, kernel.eta, kernel.l)
            mean, covariance = x + (mean - x) / kernel.l, covariance / kernel.l
    states = sg.simulate(kernel, x, horizon=kernel.tick, paths=40_000, seed=3).states[0]
    check_mean(states, mean[0])
    check_covariance(states, covariance[0])


class OneStepOfSVAG(sg.kernels.SVAG):
    """The first of the l steps in a tick."""

    def advance(self, state: sg.kernel.State, k: int, generator: torch.Generator) -> sg.kernel.State:
        single = sg.kernels.SVAG(self.noise, self.eta, 1)
        first = state.theta - single.advance(state, k, generator).theta
        second = state.theta - single.advance(state, k, generator).theta
        root = (2 * self.l - 1) ** 0.5
        return sg.kernel.State(state.theta - ((1 + root) / 2 * first + (1 - root) / 2 * second) / self.l)


# --- orders, by deterministic one-step maps --------------------------------------------------------------------------------------------------


class Wells(sg.SDE):
    """dX = (a sin X − X)dt + s dW: additive noise, a drift that is not linear."""

    dim = noise_dim = 1
    additive = True
    a, s = 1.3, 0.8

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.a * x.sin() - x

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self.s * dw


def local_errors(kernel_of: Callable[[float], DrivenKernel], sizes: list[float]) -> np.ndarray:
    """|E φ(one step) − (φ + hLφ + h²L²φ/2)| at a point, φ = cos: the expectation by Gauss–Hermite, the generator L by sympy."""
    x = sympy.Symbol("x")
    b, phi = Wells.a * sympy.sin(x) - x, sympy.cos(x)
    generator = lambda f: b * sympy.diff(f, x) + sympy.Float(Wells.s) ** 2 / 2 * sympy.diff(f, x, 2)  # noqa: E731
    once = generator(phi)
    values = [float(f.subs(x, 0.7)) for f in (phi, once, generator(once))]
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    errors = []
    for h in sizes:
        points = torch.full((40, 1), 0.7, dtype=torch.float64)
        ends = kernel_of(h).step(points, 0.0, torch.from_numpy(nodes)[:, None] * h**0.5)
        mean = float((ends.cos()[:, 0] * torch.from_numpy(weights)).sum()) / weights.sum()
        errors.append(abs(mean - (values[0] + h * values[1] + h**2 / 2 * values[2])))
    return np.array(errors)


@pytest.mark.parametrize(
    ("kernel_of", "order"), [(lambda h: sg.kernels.Heun(Wells(), h), 3), (lambda h: sg.kernels.EulerMaruyama(Wells(), h), 2)], ids=["Heun", "EulerMaruyama"]
)
def test_local_weak_order_on_additive_noise(kernel_of: Callable[[float], DrivenKernel], order: int) -> None:
    """Local error O(h³) for weak order 2, O(h²) for weak order 1; slopes between neighbouring halvings, without Monte Carlo."""
    errors = local_errors(kernel_of, [0.08, 0.04, 0.02, 0.01])
    slopes = np.log2(errors[:-1] / errors[1:])
    assert slopes[-1] == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(("rule", "order"), [(euler, 2), (heun, 3), (srk, 3)])
def test_one_step_laws_approach_the_exact_one(rule: Callable[[Any], Law], order: int) -> None:
    errors = []
    for substeps in (8, 16, 32):
        kernel = sg.kernels.EulerMaruyama(SADDLE, 0.4 / substeps)
        errors.append(max(np.abs(mine - true).max() for mine, true in zip(rule(kernel), exact(kernel), strict=True)))
    assert np.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.15)
