"""Every kernel's numbers: workers, their order, saves and short cuts do not change them; dtype, time and input are kept."""

import multiprocessing
import pickle
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from battery.found import classes, examples
from torch import Tensor

import sgdsde as sg
from sgdsde.kernel import Kernel
from sgdsde.kernels.integrator import Integrator
from sgdsde.rng import stream

ALL = examples(sg.kernels, Kernel)


def start(kernel: Kernel) -> Tensor:
    return torch.linspace(0.4, -0.6, kernel.start_dim, dtype=torch.float64)


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
    generator.first_path = 0
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


class Free(Clock):
    """The same, of no SGD."""

    eta = None


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
    assert sg.kernels.Heun(Free(), 0.125).tick == 0.125
    assert sg.kernels.TorchSDE(Free(), 0.125).tick == 0.125
