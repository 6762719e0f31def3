"""Momentum, SVAG and epoch shuffling on counter-based streams: one number for one path however the ensemble is cut, loops by hand, refusals."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from counted_cases import BATCHES, ETA, KERNELS, KEY, LABELS, LINE, STABLE, T64, WELL, network
from torch import Tensor

import sgdsde as sg
from sgdsde.counter import counter_normals, counter_words
from sgdsde.kernel import State
from sgdsde.kernels import CounterStreams, HeavyBall, OptimizerSGD, ShuffledSGD
from sgdsde.types import InputError


def ends(kernel: Any, paths: int, **changed: Any) -> Tensor:
    """All saves, some of them in the middle of an epoch."""
    save = [k * ETA for k in (1, 4, 5, 11)]
    return sg.simulate(kernel, [0.3] * kernel.dim, horizon=11 * ETA, save=save, paths=paths, **({"seed": 3, "progress": False} | changed)).states


@pytest.mark.parametrize("name", list(KERNELS))
def test_paths_do_not_hang_on_blocks_nor_on_company(name: str) -> None:
    """Bit for bit: three block sizes, fewer paths, two threads that share the kernel, a copy. Block streams depend on the size (mutant)."""
    kernel = CounterStreams(KERNELS[name])
    whole = ends(kernel, 700, block_size=700)
    for size in (64, 97):
        assert torch.equal(whole, ends(kernel, 700, block_size=size))
    assert torch.equal(whole[:, :70], ends(kernel, 70))
    assert not torch.equal(whole, ends(kernel, 700, seed=4))
    with ThreadPoolExecutor(2) as threads:
        assert torch.equal(whole, ends(kernel, 700, block_size=97, executor=threads))
    assert torch.equal(whole, ends(pickle.loads(pickle.dumps(kernel)), 700))
    assert not torch.equal(ends(KERNELS[name], 700, block_size=700), ends(KERNELS[name], 700, block_size=64))


@pytest.mark.parametrize("name", ["heavy ball, normals", "Nesterov, stable", "SVAG, batches", "shuffled, Nesterov"])
def test_exits_do_not_hang_on_blocks_pauses_nor_on_who_has_left(name: str) -> None:
    """``precision`` pauses the blocks and wakes them: momentum and permutations come along, in paths that have left others behind."""
    kernel = CounterStreams(KERNELS[name])
    options: dict[str, Any] = {"region": sg.regions.Ball([0.3] * kernel.dim, 0.35), "horizon": 3.0, "paths": 200, "seed": 5, "progress": False}
    found = [sg.exit_times(kernel, [0.3] * kernel.dim, block_size=size, **options) for size in (200, 64, 33)]
    times = np.asarray(found[0].times)
    assert len(set(times.tolist())) > 3
    assert all(np.array_equal(times, other.times) for other in found[1:])
    precise = sg.exit_times(kernel, [0.3] * kernel.dim, precision=0.3, **options)
    early = times <= precise.horizon
    assert np.array_equal(times[early], np.asarray(precise.times)[early])


def test_a_state_goes_on_where_it_was_left() -> None:
    """Some paths of a block taken out after 3 ticks and moved on by a fresh kernel end where they end among the others; without memory (mutant) they do not."""
    for name, inner in KERNELS.items():
        kernel = CounterStreams(inner)
        generator = sg.rng.stream(3, "test")
        generator.first_path = 10
        state = kernel.init(torch.full((40, kernel.dim), 0.3, dtype=T64), generator)
        for k in range(3):
            state = kernel.advance(state, k, generator)
        some = torch.tensor([0, 3, 4, 39])
        rest, fresh = state.take(some), CounterStreams(inner)
        fresh.init(rest.theta, torch.Generator())
        forgetful = State(rest.theta, (*rest.memory[:2], *(torch.zeros_like(part) for part in rest.memory[2:])))
        for k in range(3, 5):
            state, rest = kernel.advance(state, k, generator), fresh.advance(rest, k, generator)
            forgetful = fresh.advance(forgetful, k, generator)
        assert torch.equal(state.theta[some], rest.theta), name
        assert all(torch.equal(a[some], b) for a, b in zip(state.memory, rest.memory, strict=True)), name
        if rest.memory[2:] and not isinstance(inner, ShuffledSGD):
            assert not torch.equal(rest.theta, forgetful.theta), name


# --- loops by hand -----------------------------------------------------------------------------------------------------------------------------------

EVERYONE = torch.arange(6)


def by_hand(name: str, ticks: int) -> Iterator[Tensor]:
    """The updates in plain Python, path by path and number by number, from the words of (key, tick, path)."""
    theta, v, order = [0.3] * 6, [0.0] * 6, [[0] * 7] * 6
    x, y = LINE.x.original.flatten().tolist(), LINE.y.original.flatten().tolist()

    def slope(at: float, batch: list[int]) -> float:
        return sum(x[i] * (x[i] * at - y[i]) for i in batch) / len(batch)

    def batches(step: int) -> list[list[int]]:
        return [[7 * (word % 2**64) >> 64 for word in row] for row in counter_words(KEY, step, EVERYONE, 2).tolist()]

    for k in range(ticks):
        if name == "shuffled, Nesterov" and k % 2 == 0:  # two batches of three, one sample is left out
            order = [sorted(range(7), key=row.__getitem__) for row in counter_words(KEY, k, EVERYONE, 7).tolist()]
        drawn = {j: batches(k + 2**40 * j) for j in range(4)}
        rate = ETA * (1 + math.cos(math.pi * k / 15)) / 2
        for p in range(6):
            if name == "heavy ball, batches":
                v[p] = 0.8 * v[p] + slope(theta[p], drawn[0][p])
                theta[p] -= rate * v[p]
            elif name == "shuffled, Nesterov":
                g = slope(theta[p], order[p][3 * (k % 2) : 3 * (k % 2) + 3])
                v[p] = 0.7 * v[p] + g
                theta[p] -= rate * (g + 0.7 * v[p])
            else:
                for i in (0, 2):
                    first, second = (slope(theta[p], drawn[i + j][p]) for j in (0, 1))
                    theta[p] -= ETA / 2 * ((1 + 3**0.5) / 2 * first + (1 - 3**0.5) / 2 * second)
        yield torch.tensor(theta, dtype=T64)


@pytest.mark.parametrize("name", ["heavy ball, batches", "SVAG, batches", "shuffled, Nesterov"])
def test_a_loop_by_hand_gives_the_same(name: str) -> None:
    run = sg.simulate(CounterStreams(KERNELS[name]), [0.3], horizon=5 * ETA, save=[k * ETA for k in range(1, 6)], paths=6, seed=3, progress=False)
    torch.testing.assert_close(run.states[:, :, 0], torch.stack(list(by_hand(name, 5))), rtol=1e-12, atol=1e-14)


def test_heavy_ball_by_hand_on_normals() -> None:
    """v⁺ = βv + g − Rz with z of the counter's normals, R = ½; the mutant β = 0 is elsewhere after two steps."""
    theta, v = torch.full((6, 2), 0.3, dtype=T64), torch.zeros(6, 2, dtype=T64)
    for k in range(4):
        v = 0.8 * v + sg.calculus.grad(WELL.objective, theta) - 0.5 * counter_normals(KEY, k, EVERYONE, 2, dtype=T64)
        theta = theta - ETA * v
    found = [
        sg.simulate(CounterStreams(OptimizerSGD(WELL, ETA, update=HeavyBall(beta))), [0.3, 0.3], horizon=4 * ETA, paths=6, seed=3, progress=False).states[-1]
        for beta in (0.8, 0.0)
    ]
    torch.testing.assert_close(found[0], theta, rtol=1e-12, atol=1e-14)
    assert float((found[1] - theta).abs().min()) > 1e-6


def test_plain_steps_are_those_of_sgd() -> None:
    """A plain update and SVAG with l = 1 have the counters of SGD; SVAG's second draw has weight 0 there."""
    for noise in (WELL, BATCHES, STABLE, LABELS):
        plain = ends(CounterStreams(sg.kernels.SGD(noise, ETA)), 20)
        torch.testing.assert_close(ends(CounterStreams(OptimizerSGD(noise, ETA)), 20), plain, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(ends(CounterStreams(sg.kernels.SVAG(noise, ETA, 1)), 20), plain, rtol=1e-12, atol=1e-14)


# --- refusals ----


class GeneratorOnly(sg.Noise):
    """Says nothing of words."""

    def __init__(self) -> None:
        self.objective, self.root_dim = sg.objectives.Quadratic([1.0]), 1

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return theta

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return z

    def covariance(self, theta: Tensor) -> Tensor:
        return torch.ones(len(theta), 1, 1, dtype=theta.dtype)


class Doubled(sg.noises.Minibatch):
    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return 2 * super().draw(theta, generator)


class OwnBatches(sg.noises.Minibatch):
    def batches(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return 0 * super().batches(theta, generator)


class OwnStep(OptimizerSGD):
    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        return state


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (sg.kernels.SGD(GeneratorOnly(), ETA), "GeneratorOnly is drawn from a generator only"),
        (OptimizerSGD(GeneratorOnly(), ETA), "GeneratorOnly is drawn from a generator only"),
        (sg.kernels.SVAG(GeneratorOnly(), ETA, 2), "fixed number of random words"),
        (sg.kernels.SVAG(WELL, ETA, 2**24), "2\\^24"),
        (OptimizerSGD(Doubled(LINE, 2), ETA), r"Doubled.draw is its own, and draw_of"),
        (sg.kernels.SGD(OwnBatches(LINE, 2), ETA), r"Write OwnBatches.batches_of too"),
        (sg.kernels.SGD(sg.noises.LabelNoise(OwnBatches(network(2), 2), 0.1), ETA), r"Write OwnBatches.batches_of too"),
        (OwnStep(WELL, ETA), r"OwnStep.advance is its own, and move"),
    ],
)
def test_what_cannot_be_counted_is_refused(kernel: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        CounterStreams(kernel)


def test_copies_and_laws_that_change_are_known() -> None:
    kernel = CounterStreams(KERNELS["heavy ball, batches"])
    assert kernel.period == 0
    assert CounterStreams(KERNELS["shuffled"]).period == 3
    with pytest.raises(InputError, match="numbers its paths"):
        sg.rare_exit_time(CounterStreams(KERNELS["SVAG, batches"]), [0.0], region=sg.regions.Interval(-1.0, 1.0), seed=1)
