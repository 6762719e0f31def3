"""Streams: named by (seed, purpose, block), equal on every machine, whole in their state, apart from each other; and the law of the normals."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from sgdsde import rng
from sgdsde.stats import CheckFailed, check_covariance, check_mean
from sgdsde.types import InputError


def numbers(*name: Any) -> torch.Tensor:
    return torch.rand(64, generator=rng.stream(*name), dtype=torch.float64)


def test_a_stream_is_numpys_mersenne_twister_with_all_its_words() -> None:
    """torch's 64-bit draws are two 32-bit words; their lower 31 bits must be every second word of numpy's own generator in the same state."""
    drawn = torch.empty(2000, dtype=torch.int64).random_(0, 2**31, generator=rng.stream(3, "here", 5))
    twister = np.random.MT19937()
    state = twister.state
    state["state"] = {"key": rng.seed_sequence(3, "here", 5).generate_state(624, np.uint32), "pos": 624}
    twister.state = state
    assert np.array_equal(drawn.numpy(), twister.random_raw(4000)[1::2] % 2**31)


def test_normals_of_float64_are_numpys_ziggurat_on_a_source_apart() -> None:
    """SFC64 from a child of the block's SeedSequence, so that it shares no seed word with the twister; other dtypes take torch's own normals."""
    child = rng.seed_sequence(3, "here", 5).spawn(1)[0]
    own = np.random.Generator(np.random.SFC64(child)).standard_normal((7, 4)) * 0.5
    assert np.array_equal(rng.normals(torch.zeros(7, 1, dtype=torch.float64), 4, rng.stream(3, "here", 5), 0.5).numpy(), own)
    single = torch.empty(7, 4).normal_(0.0, 0.5, generator=rng.stream(3, "here", 5))
    assert torch.equal(rng.normals(torch.zeros(7, 1), 4, rng.stream(3, "here", 5), 0.5), single)
    plain = torch.Generator().manual_seed(8)  # somebody's own generator has one source for all
    assert torch.equal(rng.normals(torch.zeros(7, 1).double(), 4, plain), torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(8)))


def test_a_streams_state_is_both_sources() -> None:
    """Put back, it repeats normals of both dtypes and uniform numbers; torch's part alone does not repeat the normals of float64."""
    here = rng.stream(4, "here")
    rng.normals(torch.zeros(3, 1, dtype=torch.float64), 5, here)

    def draws(generator: torch.Generator) -> list[torch.Tensor]:
        return [
            rng.normals(torch.zeros(3, 1, dtype=torch.float64), 5, generator),
            torch.rand(5, generator=generator),
            rng.normals(torch.zeros(3, 1), 5, generator),
        ]

    state = here.get_state()
    drawn = draws(here)
    other = rng.stream(9, "elsewhere")
    other.set_state(state)
    for generator in (other, here.set_state(state)):
        assert all(torch.equal(one, again) for one, again in zip(drawn, draws(generator), strict=True))
    torch.Generator.set_state(here, state[:-32])
    normal, uniform, _ = draws(here)
    assert torch.equal(uniform, drawn[1])
    assert not torch.equal(normal, drawn[0])


def test_equal_names_give_equal_streams_and_different_names_do_not() -> None:
    base = numbers(1, "simulate", 0)
    assert torch.equal(base, numbers(1, "simulate", 0))
    for other in [(2, "simulate", 0), (1, "exits", 0), (1, "simulate", 1), (1 + 2**32, "simulate", 0), (1 + 2**64, "simulate", 0), (1, "simulate", 2**33)]:
        assert not torch.equal(base, numbers(*other)), other
    assert torch.equal(base, numbers(np.int64(1), "simulate", 0))


def uniform(generator: torch.Generator) -> torch.Tensor:
    return torch.rand(2000, generator=generator, dtype=torch.float64)


def normal(generator: torch.Generator) -> torch.Tensor:
    return rng.normals(torch.zeros(2000, 1, dtype=torch.float64), 1, generator)[:, 0]


@pytest.mark.parametrize("draw", [uniform, normal])
def test_blocks_are_uncorrelated(draw: Callable[[torch.Generator], torch.Tensor]) -> None:
    """200 neighbouring blocks of 2,000 numbers: no pair of them correlates by more than 0.14 (19,900 pairs, false alarm 1e-5 by the normal law)."""
    streams = [rng.stream(0, "simulate", b) for b in range(200)]
    blocks = torch.stack([draw(generator) for generator in streams])
    correlations = torch.corrcoef(blocks) - torch.eye(200, dtype=torch.float64)
    assert float(correlations.abs().max()) < 0.14


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    rng.normals(torch.zeros(9, 2), 3, rng.stream(0, "x"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("seed", [-1, True, 1.0, "1", None])
def test_unusable_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(InputError, match="non-negative integer"):
        rng.stream(seed, "x")


@pytest.mark.parametrize(("dtype", "paths"), [(torch.float64, 100_000), (torch.float64, 1000), (torch.float32, 100_000)])
def test_normals_are_normal(dtype: torch.dtype, paths: int) -> None:
    """Mean, covariance (scale² on the diagonal, 0 off it, between squares too: torch's two halves of Box–Muller share their radius) and the whole
    distribution. False alarm 1e-6 each; at 1e5 paths resolves 0.02 in a variance; a scale 3 % off fails.
    """
    z = rng.normals(torch.zeros(paths, 1, dtype=dtype), 5, rng.stream(11, "normals"), 0.7)
    assert z.dtype == dtype
    assert z.shape == (paths, 5)
    check_mean(z, 0.0)
    check_covariance(z / 0.7, torch.eye(5))
    assert scipy.stats.kstest(z.flatten().double().numpy() / 0.7, "norm").pvalue > 1e-6
    flat = z.flatten().double() / 0.7
    first, second = flat[: flat.numel() // 2], flat[(flat.numel() + 1) // 2 :]
    check_mean((first**2 - 1) * (second**2 - 1), 0.0)
    if paths > 1000:
        with pytest.raises(CheckFailed):
            check_covariance(z / (0.7 * 1.03), torch.eye(5))


def test_normals_reach_the_tails() -> None:
    """Of 4e6 normals 253 ± 16 lie beyond 4 (exactly 2·Φ(−4) = 6.33e-5) and none is infinite: uniform numbers of 53 bits reach past 8."""
    z = rng.normals(torch.zeros(2_000_000, 1, dtype=torch.float64), 2, rng.stream(12, "normals"))
    assert bool(torch.isfinite(z).all())
    expected = z.numel() * 2 * scipy.stats.norm.sf(4)
    assert abs(int((z.abs() > 4).sum()) - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize(("paths", "width"), [(3, 0), (1, 1), (4097, 1), (1, 4097)])
def test_normals_of_odd_sizes(paths: int, width: int) -> None:
    z = rng.normals(torch.zeros(paths, 2, dtype=torch.float64), width, rng.stream(1, "x"))
    assert z.shape == (paths, width)
    assert bool(torch.isfinite(z).all())
    assert z.unique().numel() == z.numel()
