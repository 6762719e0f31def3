"""The default block size: blocks of about one size, enough for several workers, none so small that a step's Python counts; numbers hang on it alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import sgdsde as sg
from sgdsde.kernels.linear import AffineStep
from sgdsde.loop import default_block_size

CONSTANT = sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic([0.5, 1.0]), 1.0), 0.1)


class Wide(sg.Kernel):
    """A kernel of which only the width matters."""

    def __init__(self, width: int) -> None:
        self.dim, self.tick, self._width = width, 0.1, width

    @property
    def width(self) -> int:
        return self._width

    def advance(self, state: sg.kernel.State, k: int, generator: torch.Generator) -> sg.kernel.State:
        return state


@pytest.mark.parametrize("width", [1, 3, 10, 100, 5000])
@pytest.mark.parametrize("paths", [1, 63, 1_000, 10_000, 12_345, 10**6])
def test_blocks_fit_the_cache_and_share_the_paths_evenly(width: int, paths: int) -> None:
    size = default_block_size(Wide(width), paths)
    assert size % 64 == 0
    assert size <= max(64, 2**17 // width + 64)
    blocks = -(-paths // size)
    assert blocks * size - paths < 64 * blocks  # no block is idle but for rounding
    if paths * width >= 4 * 2**17:
        assert blocks >= 4 or size == 2**15
    if blocks > 1:
        assert size * width >= 0.9 * 2**15 or size == 64  # beside so many numbers a step's Python is small


def test_ten_thousand_paths_feed_two_workers() -> None:
    sizes = [min(default_block_size(Wide(10), 10_000), left) for left in (10_000, 10_000 - default_block_size(Wide(10), 10_000))]
    assert sum(sizes) == 10_000
    assert max(sizes) < 1.03 * min(sizes)


def test_small_ensembles_stay_whole() -> None:
    assert default_block_size(Wide(10), 1_000) >= 1_000


@pytest.mark.parametrize(
    ("sde", "width"),
    [
        (CONSTANT, 2),
        (sg.sdes.HASME(CONSTANT.noise, 0.1), 2),
        (sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.DoubleWell(4), 0.1), 0.1), 4),
        (sg.sdes.SPF(sg.noises.Gaussian(sg.objectives.PeriodicWell(4, curvature=1.0, coupling=0.2), 0.1), 0.1), 16),
        (sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.PeriodicWell(4, curvature=1.0, coupling=0.2), 0.1), 0.1), 16),
        (sg.sdes.HASMEProduct(sg.noises.Gaussian(sg.objectives.PeriodicWell(4, curvature=1.0, coupling=0.2), 0.1), 0.1), 16),
        (sg.sdes.HASMEProduct(sg.noises.Gaussian(sg.objectives.PeriodicWell(4, curvature=1.0), 0.1), 0.1, functions=sg.sdes.Krylov(4)), 4),
    ],
)
def test_models_with_eigenvectors_count_them(sde: sg.SDE, width: int) -> None:
    """dim² numbers a path where eigenvectors are wanted at each state, dim where none are."""
    assert sg.kernels.Heun(sde, 0.05).width == width


def test_numbers_hang_on_the_default_size_and_not_on_the_workers() -> None:
    """10,000 paths in ten dimensions are two blocks: on one worker, on two, on three the same numbers; another size gives others (the mutant)."""
    kernel = sg.kernels.EulerMaruyama(sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic(torch.linspace(0.5, 2, 10)), 1.0), 0.1), 0.05)
    start, ends = torch.ones(10, dtype=torch.float64), []
    for workers in (1, 2, 3):
        with ThreadPoolExecutor(workers) as pool:
            ends.append(sg.simulate(kernel, start, horizon=0.2, paths=10_000, seed=1, progress=False, executor=pool))
    alone = sg.simulate(kernel, start, horizon=0.2, paths=10_000, seed=1, progress=False)
    assert all(torch.equal(alone.states, end.states) for end in ends)
    assert alone.recipe["block_size"] == default_block_size(kernel, 10_000) < 10_000
    other = sg.simulate(kernel, start, horizon=0.2, paths=10_000, seed=1, progress=False, block_size=10_000)
    assert not torch.equal(alone.states, other.states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_joined_rows_are_the_plain_step(dtype: torch.dtype) -> None:
    """x⁺ = Fx + s + G dw for numbers of paths that join 64, 4, 2 and 1 rows, one after the other on one object."""
    F, s, G = torch.tensor([0.9, 0.5, -0.2]).double(), torch.tensor([0.1, 0.0, -0.3]).double(), torch.tensor([1.0, 2.0, 0.0]).double()
    step = AffineStep(torch.diag(F), s, torch.diag(G))
    for paths in (128, 12, 7, 64, 30, 128):
        x, dw = torch.randn(2, paths, 3, dtype=dtype, generator=torch.Generator().manual_seed(paths))
        torch.testing.assert_close(step(x, dw), F.to(dtype) * x + s.to(dtype) + G.to(dtype) * dw)
