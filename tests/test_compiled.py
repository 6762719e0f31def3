"""Compiled loops against the tensors that define them, to the last digit: words, normals, linear steps; for any paths, block, number of threads and extra."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sgdsde as sg
from sgdsde import compiled
from sgdsde.box_muller import normal_pairs
from sgdsde.counter import _words, counter_normals, counter_words, key_of
from sgdsde.kernels import counted_linear
from sgdsde.kernels.counted_linear import CountedLinear, dense_step, diagonal_step

KEY = key_of(11, "test")
T32, T64 = torch.float32, torch.float64
needs_numba = pytest.mark.skipif(not compiled.available(), reason="numba is not installed: pip install 'sgdsde[compiled]'")


def defined(step: int, paths: torch.Tensor, width: int, dtype: torch.dtype) -> torch.Tensor:
    """The normals as tensors define them, whatever is installed."""
    if width == 1:  # two neighbours share a word
        words, place = torch.unique(paths // 2, return_inverse=True)
        return normal_pairs(_words(KEY, step, words, 1), dtype).flatten(1)[place].gather(1, (paths % 2)[:, None])
    return normal_pairs(_words(KEY, step, paths, (width + 1) // 2), dtype).flatten(1)[:, :width]


@needs_numba
@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 2**40),
    gaps=st.lists(st.sampled_from([1, 1, 1, 2, 5, 10**6]), max_size=40),
    width=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 10, 33]),
    step=st.integers(0, 2**40),
    dtype=st.sampled_from([T32, T64]),
)
@example(first=0, gaps=[1, 1, 5], width=1, step=0, dtype=T32)
def test_words_and_normals_are_the_defined_ones(first: int, gaps: list[int], width: int, step: int, dtype: torch.dtype) -> None:
    paths = torch.tensor([first, *gaps]).cumsum(0)
    assert torch.equal(counter_normals(KEY, step, paths, width, dtype=dtype), defined(step, paths, width, dtype))
    assert torch.equal(counter_words(KEY, step, paths, width), _words(KEY, step, paths, width))


@needs_numba
@pytest.mark.parametrize("dtype", [T32, T64])
def test_one_pair_by_itself(dtype: torch.dtype) -> None:
    """Called from Python, too, ``normal_pair`` is the definition."""
    from sgdsde.compiled.pairs import normal_pair

    words = _words(KEY, 3, torch.arange(20), 1)
    low, high = words.view(torch.int32).numpy().T
    like = torch.zeros(1, dtype=dtype).numpy()[0]
    found = [normal_pair(*halves, like) for halves in zip(low, high, strict=True)]
    assert torch.equal(torch.tensor(found, dtype=dtype), normal_pairs(words[:, 0], dtype))


@needs_numba
@pytest.mark.parametrize("dtype", [T32, T64])
@pytest.mark.parametrize(("paths", "width"), [(3000, 1), (1500, 2), (1100, 3), (700, 10), (3, 1001), (2, 2500)])
def test_blocks_of_more_than_one_chunk(paths: int, width: int, dtype: torch.dtype) -> None:
    for first in (0, 1, 6, 7):
        some = torch.arange(first, first + paths)
        assert torch.equal(counter_normals(KEY, 9, some, width, dtype=dtype), defined(9, some, width, dtype))
        few = torch.cat([some[: paths // 2], some[paths // 2 + 1 :]])
        assert torch.equal(counter_normals(KEY, 9, few, width, dtype=dtype), defined(9, few, width, dtype))


def linear(dim: int, noise_dim: int | None, dtype: torch.dtype) -> CountedLinear:
    draws = torch.Generator().manual_seed(dim)
    if noise_dim is None:
        F, s, G = (torch.randn(dim, generator=draws).to(dtype) * 0.5 for _ in range(3))
        return CountedLinear(F, s, G, True)
    F, s, G = (torch.randn(*shape, generator=draws).to(dtype) * 0.3 for shape in ((dim, dim), (dim,), (dim, noise_dim)))
    return CountedLinear(F, s, G, False)


@needs_numba
@pytest.mark.parametrize("dtype", [T32, T64])
@pytest.mark.parametrize(
    ("paths", "first", "dim", "noise_dim"),
    [
        (700, 0, 3, None),
        (70, 5, 1, None),
        (71, 4, 1, None),
        (1, 1, 1, None),
        (33, 7, 8, None),
        (9, 3, 1001, None),
        (300, 0, 2, 2),
        (70, 5, 3, 3),
        (65, 2, 1, 4),
        (150, 3, 4, 1),
        (40, 3, 5, 2),
        (130, 11, 16, 16),
    ],
)
def test_linear_steps_are_the_formula(paths: int, first: int, dim: int, noise_dim: int | None, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutants: one step late; the transpose; another order of the sum, which differs in the last digit and nowhere else."""
    step, some = linear(dim, noise_dim, dtype), torch.arange(first, first + paths)
    x = torch.randn(paths, dim, generator=torch.Generator().manual_seed(1)).to(dtype)
    kept = x.clone()
    quick = step(x, some, key=KEY, first_step=4, steps=5)
    late = step(x, some, key=KEY, first_step=5, steps=5)
    assert torch.equal(x, kept)
    in_two = step(step(x, some, key=KEY, first_step=4, steps=2), some, key=KEY, first_step=6, steps=3)
    alone = step(x[:1], some[:1], key=KEY, first_step=4, steps=5)
    monkeypatch.setattr(counted_linear, "_fastest", lambda x, paths, diagonal: None)
    slow = step(x, some, key=KEY, first_step=4, steps=5)
    assert torch.equal(quick, slow)
    assert torch.equal(in_two, slow)
    assert torch.equal(alone, slow[:1])
    assert float((late - slow).abs().max()) > 1e-2
    if dim > 2:
        z = kept[:, : noise_dim or dim] if (noise_dim or dim) <= dim else kept.repeat(1, 2)[:, :noise_dim]
        one = diagonal_step if noise_dim is None else dense_step
        other = step.s if noise_dim is None else step.F.T
        assert not torch.allclose(one(x, step.F, step.s, step.G, z), one(x, other, step.s, step.G, z))


def quadratic(dense: bool) -> sg.noises.Gaussian:
    if dense:
        return sg.noises.Gaussian(sg.objectives.Quadratic([[1.0, 0.3], [0.3, 0.5]]), torch.tensor([[0.2, -0.1], [-0.1, 0.4]], dtype=T64))
    return sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 0.3]), torch.diag(torch.tensor([0.2, 0.1], dtype=T64)))


KERNELS = {
    "Heun on HA-SME, diagonal": lambda: sg.kernels.Heun(sg.sdes.HASME(quadratic(False), 0.5), 0.125),
    "Heun on HA-SME, dense": lambda: sg.kernels.Heun(sg.sdes.HASME(quadratic(True), 0.5), 0.125),
    "exact": lambda: sg.kernels.ExactOU(sg.sdes.SME2(quadratic(True), 0.5), 0.5),
    "SGD, diagonal": lambda: sg.kernels.SGD(quadratic(False), 0.5),
    "SGD, one dimension": lambda: sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([0.7]), 0.3), 0.5),
    "SGD, dense": lambda: sg.kernels.SGD(quadratic(True), 0.5),
}


@pytest.mark.parametrize("name", list(KERNELS))
def test_runs_are_the_same_however_they_are_cut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, threads, saves, with numba and without: to the last digit. And the kernel's own step, driven by the same numbers, to rounding."""
    kernel = sg.kernels.CounterStreams(KERNELS[name]())
    options = {"horizon": 5.0, "seed": 3, "paths": 150, "progress": False}
    start = [1.0, -1.0][: kernel.dim]
    whole = sg.simulate(kernel, start, **options).states[-1]  # type: ignore[arg-type]
    assert kernel.leaps
    cut = sg.simulate(kernel, start, block_size=37, save=[0.5, 1.0, 4.5, 5.0], **options).states[-1]  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as pool:
        spread = sg.simulate(kernel, start, block_size=20, executor=pool, **options).states[-1]  # type: ignore[arg-type]
    assert torch.equal(whole, cut)
    assert torch.equal(whole, spread)
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert torch.equal(whole, sg.simulate(kernel, start, **options).states[-1])  # type: ignore[arg-type]
    monkeypatch.setattr("sgdsde.kernels.counter_streams.counted_linear", lambda kernel, theta: None)
    stepped = sg.simulate(kernel, start, **options).states[-1]  # type: ignore[arg-type]
    assert not kernel.leaps
    torch.testing.assert_close(whole, stepped, rtol=0, atol=1e-13)


def test_exits_of_linear_models_do_not_hang_on_the_block() -> None:
    kernel = sg.kernels.CounterStreams(sg.kernels.EulerMaruyama(sg.sdes.SME1(quadratic(True), 0.5), 0.25))
    ball = sg.regions.Ball([0.0, 0.0], 0.4)
    found = [sg.exit_times(kernel, [0.0, 0.0], region=ball, horizon=50.0, paths=300, seed=5, block_size=size, progress=False).times for size in (300, 41)]
    assert (found[0] == found[1]).all()
