"""Every kernel: its law against exact moments, its numbers against workers, order and re-runs; and what each kind of kernel promises."""

import math
import multiprocessing
import pickle
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
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
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.linear import AffineStep
from sgdsde.rng import stream
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
        noise = kernel.noise if hasattr(kernel, "noise") else sg.noises.MinibatchWithoutReplacement(kernel.objective, kernel.batch_size)
        mean = x - kernel.eta * sg.calculus.grad(noise.objective, x)
        covariance = kernel.eta**2 * noise.covariance(x)
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


# --- numbers ---------------------------------------------------------------------------------------------------------------------------------


class Shuffled(Executor):
    """Runs what it was given only once all of it is there, in another order."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.waiting: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, fn, args))
        if len(self.waiting) == self.expected:
            random.Random(0).shuffle(self.waiting)
            for waiting, function, arguments in self.waiting:
                waiting.set_result(function(*arguments))
        return future


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def numbers(kernel: Kernel, executor: Executor | None = None, **changed: Any) -> sg.Trajectory:
    recipe: dict[str, Any] = {"horizon": 4 * kernel.tick, "save": (0.0, kernel.tick, 4 * kernel.tick), "paths": 150, "seed": 2, "block_size": 64}
    return sg.simulate(kernel, start(kernel), executor=executor, **(recipe | changed))


@pytest.mark.parametrize("kernel", ALL)
def test_results_do_not_depend_on_workers_nor_on_their_order(kernel: Kernel, processes: ProcessPoolExecutor) -> None:
    alone = numbers(kernel)
    assert torch.equal(alone.states, numbers(kernel).states)
    with ThreadPoolExecutor(2) as threads:
        for executor in (threads, processes, Shuffled(3)):
            assert torch.equal(alone.states, numbers(kernel, executor).states)
    assert not torch.equal(alone.states, numbers(kernel, seed=3).states) or getattr(kernel, "noise_dim", 1) == 0
    assert not torch.equal(alone.states[-1, :64], alone.states[-1, 64:128])  # blocks have streams of their own


@pytest.mark.parametrize("kernel", ALL)
def test_results_do_not_depend_on_the_saves(kernel: Kernel) -> None:
    assert torch.equal(numbers(kernel).states[-1], numbers(kernel, save=None).states[-1])


@pytest.mark.parametrize("kernel", ALL)
def test_dtype_of_the_start_is_kept(kernel: Kernel) -> None:
    run = sg.simulate(kernel, start(kernel).float(), horizon=2 * kernel.tick, paths=4, seed=0)
    assert run.states.dtype == torch.float32
    assert run.conventions.dtype == "float32"
    assert run.conventions.eta == pytest.approx(kernel.tick)


@pytest.mark.parametrize("kernel", ALL)
def test_kernel_travels_to_workers(kernel: Kernel) -> None:
    assert torch.equal(numbers(pickle.loads(pickle.dumps(kernel))).states, numbers(kernel).states)


@pytest.mark.parametrize("kernel", ALL)
def test_a_step_leaves_its_input_alone(kernel: Kernel) -> None:
    """The loop compares the point before a tick with the one after it."""
    theta = kernel.expand(start(kernel)[None].repeat(70, 1))
    generator = stream(0, "x")
    state = kernel.init(theta, generator)
    kept = state.theta.clone()
    after = kernel.advance(state, 0, generator)
    assert torch.equal(state.theta, kept)
    assert not torch.equal(after.theta, kept)


# --- the affine step of linear models against the model's own terms ----------------------------------------------------------------------------


def general(kernel: Integrator) -> Integrator:
    """The same kernel with its short cut taken away."""
    cls = type(kernel)
    return type("General" + cls.__name__, (cls,), {"affine_step": lambda self: None})(kernel.sde, kernel.dt)


DIAGONAL = sg.noises.Gaussian(sg.objectives.Quadratic([0.4, 1.0, 2.5], [1.0, 0.0, -1.0]), np.diag([0.5, 1.0, 0.1]))


@pytest.mark.parametrize("cls", [sg.kernels.EulerMaruyama, sg.kernels.Heun])
@pytest.mark.parametrize("paths", [1, 7, 64, 192])
@pytest.mark.parametrize(
    "sde",
    [*[m.examples()[0] for m in classes(sg.sdes, sg.SDE)], *[m(DIAGONAL, 0.3) for m in (sg.sdes.SME1, sg.sdes.HASME, sg.sdes.PrincipalFlow)]],
    ids=lambda sde: f"{type(sde).__name__}-{sde.dim}",
)
def test_affine_step_equals_the_step_through_the_model(cls: Any, paths: int, sde: sg.SDE) -> None:
    kernel = cls(sde, sde.eta / 3)
    theta = torch.randn(paths, sde.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    quick = sg.simulate(kernel, theta, horizon=3 * sde.eta, seed=4)
    slow = sg.simulate(general(kernel), theta, horizon=3 * sde.eta, seed=4)
    assert kernel._linear is not None
    assert torch.allclose(quick.states, slow.states, rtol=1e-11, atol=1e-12)


def test_affine_step_of_points_that_are_a_view() -> None:
    kernel = sg.kernels.EulerMaruyama(sg.sdes.SME1(DIAGONAL, 0.3), 0.3)
    wide = torch.randn(64, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dw = torch.randn(64, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    kernel.prepare()
    assert torch.equal(kernel.step(wide[:, 3:], 0.0, dw[:, :3]), kernel.step(wide[:, 3:].contiguous(), 0.0, dw[:, :3].contiguous()))


# --- time ------------------------------------------------------------------------------------------------------------------------------------


class Clock(sg.SDE):
    """dX = t dt: X(T) = T²/2; Euler sums left ends, Heun and its kin are exact."""

    dim = 1
    noise_dim = 0
    additive = True
    eta = 0.5

    def drift(self, t: float, x: Tensor) -> Tensor:
        return torch.full_like(x, t)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("method", ["euler", "srk", "heun", "midpoint", "Euler", "Heun"])
def test_models_are_told_the_right_time(method: str) -> None:
    own = {"Euler": sg.kernels.EulerMaruyama, "Heun": sg.kernels.Heun}
    kernel = own[method](Clock(), 0.125) if method in own else sg.kernels.TorchSDE(Clock(), 0.125, method)
    run = sg.simulate(kernel, [0.0], horizon=3.0, save=(0.5, 1.5, 3.0), seed=0)
    t = run.times
    expected = t * (t - 0.125) / 2 if method.lower() == "euler" else t**2 / 2
    assert torch.allclose(run.states[:, 0, 0], expected, atol=1e-12)


def test_tick_is_eta_or_dt() -> None:
    assert sg.kernels.EulerMaruyama(Clock(), 0.125).tick == 0.5
    assert sg.kernels.Heun(Wells(), 0.125).tick == 0.125
    assert sg.kernels.TorchSDE(Wells(), 0.125).tick == 0.125


# --- shuffled SGD and SVAG -----------------------------------------------------------------------------------------------------------------------


class Counter(sg.Objective):
    """ℓᵢ(θ) = θᵢ: −θ/η·B counts how often each sample was used."""

    def __init__(self, n: int) -> None:
        self.dim = self.n = n

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return theta if batch is None else theta.gather(1, batch)


@pytest.mark.parametrize(("n", "batch"), [(6, 2), (7, 3), (5, 5), (4, 1)])
def test_shuffled_sgd_visits_each_sample_once_per_epoch(n: int, batch: int) -> None:
    eta, epoch = 0.25, n // batch
    kernel = sg.kernels.ShuffledSGD(Counter(n), batch, eta)
    marks = [k * eta for k in range(1, 2 * epoch + 1)]
    run = sg.simulate(kernel, torch.zeros(n, dtype=torch.float64), horizon=marks[-1], save=marks, paths=500, seed=1)
    counts = (-run.states / eta * batch).round(decimals=6)  # [ticks, paths, n]
    for k, seen in enumerate(counts[:epoch], 1):
        assert set(seen.unique().tolist()) <= {0.0, 1.0}
        assert bool((seen.sum(1) == k * batch).all())
    second = counts[epoch:] - counts[epoch - 1]
    assert set(second[-1].unique().tolist()) <= {0.0, 1.0}
    if epoch > 1:
        assert not torch.equal(second[0], counts[0])  # a fresh permutation
        assert len({tuple(row) for row in counts[0].tolist()}) == math.comb(n, batch)


def test_with_replacement_does_not() -> None:
    run = sg.simulate(sg.kernels.SGD(sg.noises.Minibatch(Counter(6), 2), 0.25), torch.zeros(6).double(), horizon=0.75, paths=500, seed=1)
    assert float((-run.states / 0.25 * 2).max()) > 1.5


def test_shuffled_batches_have_the_stated_cross_covariance() -> None:
    """Two batches of an epoch: −(1/(n−1))·(1/n)Σ(gᵢ−g)(gᵢ−g)ᵀ, here −(I − 11ᵀ/n)/(n(n−1)). 6e4 paths, false alarm 1e-6; zero (independent batches) fails."""
    n, eta = 5, 0.5
    kernel = sg.kernels.ShuffledSGD(Counter(n), 2, eta)
    run = sg.simulate(kernel, torch.zeros(n, dtype=torch.float64), horizon=1.0, save=(0.5, 1.0), paths=60_000, seed=2)
    first = -run.states[0] / eta - 1 / n
    second = -(run.states[1] - run.states[0]) / eta - 1 / n
    expected = -(torch.eye(n) - 1 / n) / (n * (n - 1))
    products = (first[:, :, None] * second[:, None, :]).flatten(1)
    check_mean(products, expected.flatten(), rounding=1e-12)
    with pytest.raises(AssertionError):
        check_mean(products, 0.0)


def test_svag_one_is_sgd() -> None:
    """Its first gradient is SGD's and its second has weight 0: one step on one stream is the same step."""
    for noise in (sg.noises.Gaussian.examples()[0], sg.noises.Minibatch.examples()[1]):
        kernels = sg.kernels.SGD(noise, 0.1), sg.kernels.SVAG(noise, 0.1, 1)
        a, b = (sg.simulate(k, start(k), horizon=0.1, paths=50, seed=3).states for k in kernels)
        assert torch.allclose(a, b, rtol=1e-14)
