"""What recorded steps must not do, done on purpose: each makes the comparison with the kernel itself fail, on the buffers alone and replayed from a tape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from captured_cases import KERNELS, WELL, heun, run, same
from taped import Tape
from torch import Tensor

import sgdsde as sg
from sgdsde.kernels import recording
from sgdsde.kernels.captured import Captured
from sgdsde.kernels.recording import Body


@pytest.fixture(params=["buffers", "tape"])
def _recorder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tape":
        monkeypatch.setattr(recording, "record", Tape)


class StaleNoise(Body):
    """The increments of the first pass, for ever."""

    def _draw(self, generator: torch.Generator) -> None:
        if not self._drawn:
            super()._draw(generator)


class FrozenStart(Body):
    """Every pass from where the first one began."""

    def run(self, theta: Tensor, generator: torch.Generator, passes: int) -> Tensor:
        if self._warm:
            theta = self._first
        else:
            self._first = theta.clone()
        return super().run(theta, generator, passes)


class NoWayBack(Body):
    """The end is not handed on to the next pass."""

    def run(self, theta: Tensor, generator: torch.Generator, passes: int) -> Tensor:
        super().run(theta, generator, passes)
        return super().run(theta, generator, 1)


class TheBufferItself(Body):
    """The points returned are those of the buffer, which the next pass writes to."""

    def run(self, theta: Tensor, generator: torch.Generator, passes: int) -> Tensor:
        super().run(theta, generator, passes)
        return self._end


class AnotherOrder(Body):
    """The increments of a pass, the last one first."""

    def _draw(self, generator: torch.Generator) -> None:
        super()._draw(generator)
        if not self._warm:
            self._drawn.reverse()


class SubstepTooFew(Body):
    """A step of the pass is left out."""

    def __init__(self, kernel: Any, theta: Tensor, ticks: int, *, owner: str) -> None:
        super().__init__(kernel, theta, ticks, owner=owner)
        self._steps -= 1


@pytest.mark.usefixtures("_recorder")
@pytest.mark.parametrize("mutant", [StaleNoise, FrozenStart, NoWayBack, TheBufferItself, AnotherOrder, SubstepTooFew])
def test_mutants_fail(mutant: type[Body], monkeypatch: pytest.MonkeyPatch) -> None:
    """On runs in which paths end, since only there the loop goes back to where a leap began, and on others, whose buffers serve longer."""
    monkeypatch.setattr("sgdsde.kernels.captured.Body", mutant)
    with pytest.raises(AssertionError):
        _same_with_and_without()


def _same_with_and_without() -> None:
    marks, theta = tuple(range(8, 41, 8)), torch.ones(8, 1, dtype=torch.float64)
    for kernel in (heun("HASME", sg.noises.Gaussian(WELL, 0.1), eta=0.3), KERNELS["HASME, clipped"]):
        same(run(kernel, ticks=40, save=marks, theta=theta), run(Captured(kernel, ticks=2), ticks=40, save=marks, theta=theta))


@pytest.mark.usefixtures("_recorder")
def test_what_is_no_mutant_passes_where_they_fail() -> None:
    _same_with_and_without()


class Breathing(sg.SDE):
    """dX = (sin t − X)dt + dW/10."""

    dim = noise_dim = 1
    eta = 0.1
    additive = True

    def drift(self, t: float, x: Tensor) -> Tensor:
        return torch.sin(t * torch.ones_like(x)) - x

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return 0.1 * dw


class _Stands:
    """A clock that tells the time of the recording for ever."""

    def __new__(cls, owner: str) -> float:  # type: ignore[misc]
        return 0.0


@pytest.mark.usefixtures("_recorder")
def test_a_time_that_stands_still_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = sg.kernels.Heun(Breathing(), 0.05)
    with pytest.raises(sg.types.InputError, match="Heun of Breathing reads the time"):
        run(Captured(kernel, ticks=3))
    for module in ("recording", "recordable", "captured"):
        monkeypatch.setattr(f"sgdsde.kernels.{module}.Timeless", _Stands)
    with pytest.raises(sg.types.InputError, match="advance gives other numbers than its steps"):
        run(Captured(kernel, ticks=3))
    monkeypatch.setattr(Captured, "_rehearse", lambda captured, probe: None)
    with pytest.raises(AssertionError):
        same(run(kernel), run(Captured(kernel, ticks=3)))
