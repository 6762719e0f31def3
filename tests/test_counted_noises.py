"""Noises that are not Gaussian on counter-based streams: one number for one path however the ensemble is cut, the laws of their generators, refusals."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

import sgdsde as sg
from sgdsde.box_muller import normal_pairs
from sgdsde.counter import counter_words, indices, key_of, uniforms
from sgdsde.noises import minibatch_without_replacement
from sgdsde.types import InputError

T64 = torch.float64
KEY = key_of(11, "test")
LINE = sg.objectives.LeastSquares(
    torch.tensor([[1.0], [2.0], [0.5], [1.5], [0.8], [1.2], [2.2]], dtype=T64), torch.tensor([0.3, -1.0, 2.0, 0.5, 0.1, -0.7, 1.4], dtype=T64)
)
SIGNS = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
X = torch.tensor([[1.0, 0.2], [-0.5, 1.0], [0.3, -1.2], [0.9, 0.4], [-1.1, -0.6]], dtype=T64)


def linear(outputs: int, loss: str, targets: torch.Tensor) -> sg.objectives.Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = torch.nn.Linear(2, outputs).double()
    return sg.objectives.Network(module, loss, X, targets)


REGRESSION = linear(1, "mse", X[:, :1] - 0.5 * X[:, 1:])
CHANCES = linear(3, "cross_entropy", torch.tensor([[0.2, 0.0, 0.8], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 0.3, 0.7], [0.1, 0.6, 0.3]], dtype=T64))
NOISES: dict[str, Any] = {
    "Rademacher": sg.noises.Minibatch(SIGNS, 1),
    "with replacement": sg.noises.Minibatch(LINE, 3),
    "without, few": sg.noises.MinibatchWithoutReplacement(LINE, 2),
    "without, many": sg.noises.MinibatchWithoutReplacement(LINE, 5),
    "stable": sg.noises.SymmetricStable(sg.objectives.PeriodicWell(), 1.5, 0.1),
    "stable in the plane": sg.noises.SymmetricStable(sg.objectives.Quadratic([1.0, 0.5]), 1.2, [0.3, 0.1]),
    "label noise": sg.noises.LabelNoise(sg.noises.Minibatch(REGRESSION, 3), 0.7),
    "label noise, full batch": sg.noises.LabelNoise(sg.noises.MinibatchWithoutReplacement(REGRESSION, 5), 0.7),
    "sampled labels": sg.noises.SampledLabels(sg.noises.MinibatchWithoutReplacement(CHANCES, 2)),
}


def words(count: int, per_path: int) -> torch.Tensor:
    return counter_words(KEY, 0, torch.arange(count), per_path)


@pytest.mark.parametrize("name", list(NOISES))
def test_paths_do_not_hang_on_blocks_company_or_pauses(name: str) -> None:
    """Bit for bit: three block sizes, fewer paths, exits that are paused and resumed. Block streams do depend on the block size (the mutant)."""
    noise = NOISES[name]
    kernel = sg.kernels.CounterStreams(sg.kernels.SGD(noise, 0.1))
    start = [0.2] * noise.objective.dim
    runs = [sg.simulate(kernel, start, horizon=1.0, paths=300, seed=3, block_size=size, progress=False).states for size in (300, 64, 97)]
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])
    assert torch.equal(runs[0][:, :40], sg.simulate(kernel, start, horizon=1.0, paths=40, seed=3, progress=False).states)
    assert not torch.equal(runs[0], sg.simulate(kernel, start, horizon=1.0, paths=300, seed=4, progress=False).states)
    block = [sg.simulate(kernel.kernel, start, horizon=1.0, paths=300, seed=3, block_size=size, progress=False).states for size in (300, 64)]
    assert not torch.equal(block[0], block[1])


@pytest.mark.parametrize("name", ["Rademacher", "stable"])
def test_exits_do_not_hang_on_blocks_nor_on_pauses(name: str) -> None:
    noise = NOISES[name]
    kernel = sg.kernels.CounterStreams(sg.kernels.SGD(noise, 0.2))
    options: dict[str, Any] = {"region": sg.regions.Interval(-0.5, 0.5), "horizon": 20.0, "paths": 200, "seed": 5, "progress": False}
    found = [sg.exit_times(kernel, [0.0], block_size=size, **options) for size in (200, 64, 33)]
    assert all(np.array_equal(found[0].times, other.times) for other in found[1:])
    precise = sg.exit_times(kernel, [0.0], precision=0.3, **options)
    early = np.asarray(found[0].times) <= precise.horizon
    assert np.array_equal(np.asarray(found[0].times)[early], np.asarray(precise.times)[early])


def test_indices_are_the_top_of_the_product() -> None:
    """⌊n·w/2⁶⁴⌋ in Python's integers, for words at the ends and in the middle."""
    raw = [0, 1, 2**63 - 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15, 2**32 - 1, 2**32]
    w = torch.tensor([x - 2**64 if x >= 2**63 else x for x in raw])
    for n in (1, 2, 3, 7, 60_000, 2**31 - 1):
        assert indices(w, n).tolist() == [n * x >> 64 for x in raw]


def test_uniforms_are_inside_and_uniform() -> None:
    """False alarm 1e-6, resolves .4 % of the law at 2·10⁵ numbers. The mutant keeps the word's sign."""
    ends = torch.tensor([0, -1, 2**63 - 1, -(2**63)])
    assert float(uniforms(ends).min()) > 0
    assert float(uniforms(ends).max()) < 1
    u = uniforms(words(200_000, 1)).flatten()
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-6
    signed = (words(200_000, 1).flatten() >> 12).to(T64) * 2.0**-52
    assert scipy.stats.kstest(signed.numpy(), "uniform").pvalue < 1e-6


@pytest.mark.parametrize(("n", "size"), [(5, 2), (6, 3), (4, 4), (5, 1)])
def test_floyds_sets_are_uniform(n: int, size: int) -> None:
    """All sets equally often among 60,000, by χ²; false alarm 1e-6 each, resolves 5 % of a set's share."""
    batch = minibatch_without_replacement._floyd(words(60_000, size), n)
    assert bool((batch.sort(1).values.diff(dim=1) > 0).all())
    sets = [tuple(row) for row in batch.sort(1).values.tolist()]
    counts = [sets.count(each) for each in itertools.combinations(range(n), size)]
    assert sum(counts) == 60_000
    assert scipy.stats.chisquare(counts).pvalue > 1e-6 if len(counts) > 1 else counts == [60_000]


def test_a_wrong_floyd_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: one of 0 … m − 1 in place of 0 … m."""
    monkeypatch.setattr(minibatch_without_replacement, "indices", lambda w, n: indices(w, max(1, n - 1)))
    batch = minibatch_without_replacement._floyd(words(60_000, 2), 5)
    sets = [tuple(row) for row in batch.sort(1).values.tolist()]
    assert scipy.stats.chisquare([sets.count(each) for each in itertools.combinations(range(5), 2)]).pvalue < 1e-6


@pytest.mark.parametrize("name", list(NOISES))
def test_the_law_is_that_of_the_generator(name: str) -> None:
    """40,000 draws each way, two-sample Kolmogorov–Smirnov in every coordinate; false alarm 1e-6, resolves 2 % of the law. Mutant: half of each deviation."""
    noise = NOISES[name]
    theta = torch.full((40_000, noise.objective.dim), 0.3, dtype=T64)
    counted = noise.draw_of(theta, words(40_000, noise.words))
    drawn = noise.draw(theta, sg.rng.stream(1, "test"))
    g = sg.calculus.grad(noise.objective, theta)
    for i in range(theta.shape[1]):
        assert scipy.stats.ks_2samp(counted[:, i].numpy(), drawn[:, i].numpy()).pvalue > 1e-6
        halved = (g + (counted - g) / 2)[:, i]
        assert scipy.stats.ks_2samp(halved.numpy(), drawn[:, i].numpy()).pvalue < 1e-6


def test_labels_are_drawn_with_their_chances() -> None:
    """One sample after the other, 50,000 labels each, by χ²; false alarm 1e-6 each, resolves 2 % of a label's share. A chance of 0 is never drawn, one of 1
    always. Mutant: the samples' chances handed to their neighbours.
    """
    noise = NOISES["sampled labels"]
    theta = CHANCES.flatten()[None]
    rows = torch.arange(5).repeat(10_000)[:, None].repeat(1, 5)
    drawn = noise.fresh_of(theta, rows, words(50_000, 5))
    assert bool((drawn.sum(2) == 1).all())
    for i in range(5):
        counts, q = drawn[i::5].flatten(0, 1).sum(0), CHANCES.targets.original[i]
        assert bool((counts[q == 0] == 0).all())
        if int((q > 0).sum()) > 1:
            expected = 50_000 * q[q > 0]
            assert scipy.stats.chisquare(counts[q > 0], expected).pvalue > 1e-6
            assert scipy.stats.chisquare(counts[q > 0], expected.roll(1)).pvalue < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, T64])
def test_extreme_words_draw_labels_too(dtype: torch.dtype) -> None:
    """The smallest and the largest uniform number, with a last class and a first class of chance 0."""
    q = torch.tensor([[0.0, 0.1, 0.9, 0.0], [0.0, 1 / 3, 1 / 3, 1 / 3]], dtype=dtype)
    with torch.random.fork_rng(devices=[]):
        module = torch.nn.Linear(1, 4).to(dtype)
    network = sg.objectives.Network(module, "cross_entropy", torch.ones(2, 1, dtype=dtype), q)
    noise = sg.noises.SampledLabels(sg.noises.Minibatch(network, 2))
    low, high = 0, -1  # words: uniform numbers 2⁻⁵³ and 1 − 2⁻⁵³
    drawn = noise.fresh_of(network.flatten()[None], torch.tensor([[0, 1], [0, 1]]), torch.tensor([[low, low], [high, high]]))
    assert drawn.dtype == dtype
    assert drawn.argmax(2).tolist() == [[1, 1], [2, 3]]


def test_label_noise_is_the_words_normals() -> None:
    """Targets y + s·z, z the Box–Muller pairs of the last words, in order; an odd count leaves the last number out."""
    noise = NOISES["label noise"]
    assert noise.words == 3 + 2
    w = words(7, noise.words)
    rows = noise.noise.batches_of(w[:, :3])
    z = normal_pairs(w[:, 3:], T64).reshape(7, 4)[:, :3, None]
    expected = REGRESSION.grad_with_targets(REGRESSION.flatten().expand(7, -1), rows, REGRESSION.targets.original[rows] + 0.7 * z)
    assert torch.equal(noise.draw_of(REGRESSION.flatten().expand(7, -1), w), expected)


def test_steps_and_coordinates_are_independent() -> None:
    """Correlations of signs between steps, coordinates and neighbours over 50,000 paths; false alarm 1e-6 each. Mutant: a step used twice."""
    noise = NOISES["stable in the plane"]
    theta = torch.zeros(50_000, 2, dtype=T64)
    now, later = (noise.draw_of(theta, counter_words(KEY, k, torch.arange(50_000), noise.words)).sign() for k in (0, 1))
    limit = scipy.stats.norm.isf(5e-7) / math.sqrt(50_000)
    for x, y in ((now[:, 0], now[:, 1]), (now[:, 0], later[:, 0]), (now[:-1, 0], now[1:, 0]), (now[:, 1], later[:, 0])):
        assert abs(float((x * y).mean())) < limit
    assert abs(float((now[:, 0] * now[:, 0]).mean())) > limit


def test_float32_paths_follow_float64() -> None:
    for name in ("with replacement", "stable", "label noise"):
        noise = NOISES[name]
        kernel = sg.kernels.CounterStreams(sg.kernels.SGD(noise, 0.1))
        dim = noise.objective.dim
        ends = [
            sg.simulate(kernel, torch.full((dim,), 0.2, dtype=dtype), horizon=0.5, paths=50, seed=3, progress=False).states[-1]
            for dtype in (torch.float32, T64)
        ]
        torch.testing.assert_close(ends[0].double(), ends[1], rtol=1e-5, atol=1e-5)


def test_a_paths_words_do_not_hang_on_its_company() -> None:
    paths = torch.tensor([0, 3, 4, 999, 10**6])
    assert torch.equal(counter_words(KEY, 5, paths, 3)[:4], counter_words(KEY, 5, torch.arange(1000), 3)[paths[:4]])
    assert counter_words(KEY, 5, paths, 0).shape == (5, 0)


def test_what_cannot_be_counted_is_refused() -> None:
    numbered = sg.kernels.CounterStreams(sg.kernels.SGD(NOISES["Rademacher"], 0.1))
    with pytest.raises(InputError, match="copies would move alike"):
        sg.QuasiStationary(numbered, [0.0], sg.regions.Interval(-1.0, 1.0), burn_in=1.0)
    with pytest.raises(InputError, match="numbers its paths"):
        sg.rare_exit_time(numbered, [0.0], region=sg.regions.Interval(-1.0, 1.0), seed=1)


def weak() -> sg.Kernel:
    return sg.kernels.WeakIncrements(sg.kernels.EulerMaruyama(sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25), 0.1), 0.05))


@pytest.mark.parametrize("monitor", ["iterates", "bridge", "shift", "shift outward"])
def test_weak_increments_are_refused_under_every_monitor(monitor: str) -> None:
    with pytest.raises(InputError, match="needs the law of the path"):
        sg.exit_times(weak(), [-1.0], region=sg.regions.Interval(-2.0, 0.0), horizon=1.0, monitor=monitor, paths=4, seed=1)


def test_weak_increments_are_refused_wherever_the_law_counts() -> None:
    """Rare exits, quasi-stationary starts, paths that stop by themselves, couplings; expectations at fixed times are what they are for."""
    inside = sg.regions.Interval(-2.0, 0.0)
    for attempt in (
        lambda: sg.rare_exit_time(weak(), [-1.0], region=inside, seed=1),
        lambda: sg.QuasiStationary(weak(), [-1.0], inside, burn_in=1.0),
        lambda: sg.simulate(weak(), [-1.0], horizon=1.0, paths=4, seed=1, stop=lambda theta: theta[:, 0] > 0),
    ):
        with pytest.raises(InputError, match="needs the law of the path"):
            attempt()
    with pytest.raises(InputError, match="takes no Brownian increments"):
        sg.kernels.Coupled(weak(), weak())
    for dtype in (torch.float32, T64):
        run = sg.simulate(weak(), torch.tensor([-1.0], dtype=dtype), horizon=0.2, paths=8, seed=1, progress=False)
        assert run.states.dtype == dtype
