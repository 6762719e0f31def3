"""What cannot be recorded is refused by name before a run; what is accepted reads nothing from the device, by torch's own account too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from battery.found import classes
from captured_cases import KERNELS, PATHS, WELL, full, heun, run, start
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import sgdsde as sg
from sgdsde.kernel import DrivenKernel, State
from sgdsde.kernels.captured import Captured
from sgdsde.kernels.unseen import Timeless, Unseen
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.objective import like
from sgdsde.rng import stream
from sgdsde.types import may_look, report_count, report_worst, tallying


class Custom(sg.SDE):
    """−x + ``extra(x)``, with noise."""

    dim = noise_dim = 2
    eta = 0.1

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.extra(x) - x

    def extra(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return 0.1 * dw


class Decides(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return x if x.max() > 5 else -x


class Weighs(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return x * x.norm().item()


class Selects(Custom):
    def extra(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        rows = x[:, 0] > 0
        y[rows] = x[rows]
        return y


class Compares(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return x if torch.allclose(x, -x) else 2 * x


class Writes(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return x * torch.tensor([1.0, 2.0], dtype=x.dtype, device=x.device)


class Carries(Custom):
    matrix = torch.eye(2, dtype=torch.float64)

    def extra(self, x: Tensor) -> Tensor:
        return x @ self.matrix.to(x)


class Draws(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return 1e-9 * torch.rand_like(x)


class Solves(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return torch.linalg.solve(torch.eye(2, dtype=x.dtype, device=x.device), x.T).T


class OnTheHost(Custom):
    def extra(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy().copy())


class LongAfter(Custom):
    """The time as a comparison that a float would answer."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        return -x if t > 100 else x


class Remembers(Custom):
    """The step before shows in this one."""

    last: Tensor | None = None

    def begin(self) -> None:
        self.last = None

    def extra(self, x: Tensor) -> Tensor:
        moved = torch.zeros_like(x) if self.last is None or self.last.shape != x.shape or self.last.device != x.device else x - self.last
        self.last = x
        return moved


def _spectral() -> sg.Kernel:
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(5), 0.04)
    return sg.kernels.Heun(sg.sdes.HASMEProduct(noise, 0.05, functions=sg.sdes.Spectral(2)), 0.05)


def _krylov() -> sg.Kernel:
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(5), 0.04)
    return sg.kernels.Heun(sg.sdes.HASMEProduct(noise, 0.05, functions=sg.sdes.Krylov(5)), 0.05)


def custom(sde: sg.SDE) -> sg.Kernel:
    return sg.kernels.EulerMaruyama(sde, 0.05)


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (custom(Decides()), r"Decides cannot be recorded: its step reads its own numbers.*\(__bool__\).*test_captured_refusals.py, line \d+, in extra"),
        (custom(Weighs()), r"Weighs .* reads its own numbers.*item"),
        (custom(Selects()), r"Selects .* reads its own numbers"),
        (custom(Compares()), r"Compares .* reads its own numbers.*allclose"),
        (custom(OnTheHost()), r"OnTheHost .* reads its own numbers.*numpy"),
        (custom(Writes()), r"Writes .* brings numbers from the host \(torch.tensor\).*like"),
        (custom(Carries()), r"Carries .* brings numbers from the host \(_to_copy\)"),
        (custom(Draws()), r"Draws .* draws random numbers"),
        (custom(Solves()), r"Solves .* linear algebra that waits for the host"),
        (custom(Remembers()), r"Remembers remembers something from step to step"),
        (custom(LongAfter()), r"LongAfter reads the time"),
        (heun("HASME", sg.noises.Gaussian(sg.objectives.DoubleWell(5), full(5))), r"HASME .*eigh.*three dimensions.*SME2"),
        (heun("SPF", sg.noises.Surrogate(sg.noises.Minibatch.examples()[2])), r"Heun of SPF cannot be recorded.*chebyshev.py"),
        (sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.DoubleWell(5), growing_covariance), 0.05), r"SGD of Gaussian .*eigh"),
        (_spectral(), r"HASMEProduct cannot be recorded"),
        (_krylov(), r"HASMEProduct cannot be recorded.*eigh"),
    ],
    ids=lambda value: type(getattr(value, "sde", value)).__name__ if not isinstance(value, str) else "",
)
def test_what_cannot_be_recorded_is_named_before_the_run(kernel: Any, words: str) -> None:
    with pytest.raises(sg.types.InputError, match=words):
        run(Captured(kernel, ticks=2))


class Twice(sg.kernels.EulerMaruyama):
    """An ``advance`` that is not made of its steps."""

    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        return super().advance(super().advance(state, k, generator), k, generator)


class Scaled(sg.kernels.EulerMaruyama):
    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        return State(super().advance(state, k, generator).theta * (1 + 1e-15))


@pytest.mark.parametrize("kind", [Twice, Scaled])
def test_a_kernel_that_is_not_made_of_its_steps_is_refused(kind: type[sg.kernels.EulerMaruyama]) -> None:
    with pytest.raises(sg.types.InputError, match="advance gives other numbers than its steps"):
        run(Captured(kind(Custom(), 0.05), ticks=2))


@pytest.mark.parametrize(
    ("kernel", "ticks", "words"),
    [
        (sg.kernels.SGD(sg.noises.Minibatch.examples()[0], 0.1), 2, "not driven by a Brownian motion"),
        (sg.kernels.Coupled.examples()[0], 2, "Captured drives SGD with a Gaussian noise, EulerMaruyama, Heun or ExactOU; got Coupled"),
        (sg.kernels.WeakIncrements.examples()[0], 2, "got WeakIncrements"),
        (sg.kernels.Heun.examples()[0], 0, "ticks = 0"),
        (sg.kernels.Heun.examples()[0], 2.5, "ticks = 2.5"),
        (sg.kernels.Heun.examples()[0], True, "ticks = True"),
        (sg.kernels.Heun.examples()[0], float("inf"), "ticks = inf"),
        (sg.kernels.Heun.examples()[0], "two", "ticks = 'two'"),
    ],
)
def test_other_kernels_and_numbers_are_refused(kernel: Any, ticks: Any, words: str) -> None:
    with pytest.raises(sg.types.InputError, match=words):
        Captured(kernel, ticks=ticks)


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
#: models that must be accepted on these noises: what the documentation promises
PROMISED = [
    *((model, sg.noises.Gaussian(sg.objectives.DoubleWell(dim), 0.04)) for model in classes(sg.sdes, sg.SDE) for dim in (1, 5)),
    *((model, sg.noises.Gaussian(sg.objectives.MullerBrown(), full(2))) for model in classes(sg.sdes, sg.SDE)),
    *((model, sg.noises.Gaussian(sg.objectives.DoubleWell(5), full(5))) for model in (sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SME3, sg.sdes.HASMEProduct)),
    *((model, sg.noises.Gaussian(sg.objectives.Quadratic([[1.0, 0.3], [0.3, 0.5]]), full(2))) for model in classes(sg.sdes, sg.SDE)),
]


@pytest.mark.parametrize(("model", "noise"), PROMISED, ids=lambda value: value.__name__ if isinstance(value, type) else f"{type(value.objective).__name__}")
def test_what_is_promised_is_accepted_and_torch_agrees(model: Any, noise: sg.Noise) -> None:
    """Fake tensors, which torch refuses to read or to size by value, are an account of the same that is not ours. On a device they are the device's."""
    kernel = sg.kernels.Heun(model(noise, 1e-4), 5e-5)
    Captured(kernel, ticks=2).check(start(kernel, torch.float32) / 10)
    with FakeTensorMode(allow_non_fake_inputs=True), tallying(Unseen()):
        points, drawn = (torch.empty(PATHS, size, device=DEVICE) for size in (kernel.dim, kernel.noise_dim))
        moved = kernel.follow(points, Timeless("it"), drawn)  # type: ignore[arg-type]
    assert moved.device.type == DEVICE
    assert moved.shape == points.shape


def test_torch_would_say_no_to_what_is_refused() -> None:
    kernel = custom(Decides())
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(Exception, match="_local_scalar_dense"):
        kernel.follow(torch.empty(PATHS, 2, device=DEVICE), 0.0, torch.empty(PATHS, 2, device=DEVICE))  # type: ignore[attr-defined]


class Reads(TorchDispatchMode):
    """Counts the numbers that torch hands to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        self.count += func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("name", "numbers"), [("HASME, clipped", 2), ("SGD", 0), ("HASME, full covariance", 4)])
def test_numbers_are_read_once_a_leap_and_not_at_every_step(name: str, numbers: int) -> None:
    """The counters, when the replays are over; the kernel itself reads some at every step (SGD: where its covariance is a function)."""
    kernel = KERNELS[name]
    assert isinstance(kernel, DrivenKernel)
    theta, counts = start(kernel) / 4, []
    for ticks, stepped in ((6, Captured(kernel, ticks=3)), (60, Captured(kernel, ticks=3)), (60, kernel)):
        state = stepped.init(theta, stream(0, "x"))
        with Reads() as reads:
            stepped.leap(state, 0, ticks, stream(1, "x"))
        counts.append(reads.count)
    assert counts[0] == counts[1] == numbers
    assert counts[2] >= 60


# --- constants, counters and the clock ---------------------------------------------------------------------------------------------------------


def test_constants_are_converted_once_and_again_when_they_change() -> None:
    constant, theta = torch.eye(3, dtype=torch.float64), torch.zeros(1, 3)
    first = like(constant, theta)
    assert like(constant, theta) is first
    assert like(constant, theta.double()) is constant
    constant.mul_(2)
    assert like(constant, theta)[0, 0] == 2
    trained = torch.ones(3, dtype=torch.float64, requires_grad=True)
    like(trained, theta).sum().backward()
    like(trained, theta).sum().backward()
    assert trained.grad is not None
    assert trained.grad.tolist() == [2.0, 2.0, 2.0]


def test_counters_of_passes_are_what_looking_would_have_told() -> None:
    unseen = Unseen()
    with tallying() as tally:
        assert may_look()
        for events in ([3, 0, 2], [0, 0, 0]):
            unseen.forget()
            for count in events:
                unseen.begin_pass()
                with tallying(unseen):
                    assert not may_look()
                    report_count("met", torch.tensor(count))
                    report_count("known", 0)
                    report_worst("worst", torch.tensor(float(count) if count else -torch.inf))
                    report_worst("constant", 0.25)
            unseen.report(len(events))
    assert tally.counts == {"met": 5, "known": 0}
    assert tally.worst == {"worst": 3.0, "constant": 0.25}


@pytest.mark.parametrize(
    "use", [float, int, bool, hash, abs, lambda t: t * 2, lambda t: t > 1, lambda t: t == 0, lambda t: torch.full((2,), t), lambda t: torch.ones(2) * t]
)
def test_the_clock_can_be_shifted_and_nothing_else(use: Any) -> None:
    clock = Timeless("It")
    assert clock + 0.5 is clock
    with pytest.raises(sg.types.InputError, match="It reads the time"):
        use(clock + 0.5)


def test_wells_are_the_wells_of_the_benchmarks() -> None:
    """A run through the public face at the default number of ticks."""
    kernel = heun("SME2", sg.noises.Gaussian(WELL, 0.04))
    assert Captured(kernel).ticks == 8
    assert torch.equal(run(kernel, ticks=40, save=(40,)).states, run(Captured(kernel), ticks=40, save=(40,)).states)
