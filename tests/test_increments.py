"""Counter-based and weak increments: published vectors, one number for one path however the ensemble is cut, moments, orders, refusals, mutants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

import sgdsde as sg
from sgdsde.box_muller import NEAR, normal_pairs
from sgdsde.counter import counter_normals, key_of
from sgdsde.kernels.weak_increments import FOUR_POINT, _four_points, _two_points
from sgdsde.threefry import threefry
from sgdsde.types import InputError, Status

#: threefry4x64-20 of Salmon et al.'s Random123 (kat_vectors): counter, key, words
VECTORS = (
    ((0,) * 4, (0,) * 4, (0x09218EBDE6C85537, 0x55941F5266D86105, 0x4BD25E16282434DC, 0xEE29EC846BD2E40B)),
    ((2**64 - 1,) * 4, (2**64 - 1,) * 4, (0x29C24097942BBA1B, 0x0371BBFB0F6F4E11, 0x3C231FFA33F83A1C, 0xCD29113FDE32D168)),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C, 0xBE5466CF34E90C6C, 0xC0AC29B7C97C50DD),
        (0xA7E8FDE591651BD9, 0xBAAFD0C30138319B, 0x84A5C1A729E685B9, 0x901D406CCEBC1BA4),
    ),
)
KEY = key_of(7, "test")
PINNED = (11860329648006400219, 9570724720562391816)


def signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


@pytest.mark.parametrize(("at", "key", "words"), VECTORS)
def test_published_vectors(at: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]) -> None:
    c0, c1, c2, c3 = (torch.tensor([signed(word)]) for word in at)
    assert tuple(int(part) % 2**64 for part in threefry((c0, c1, c2, c3), key)) == words  # type: ignore[arg-type]


def by_hand(key: tuple[int, int], step: int, path: int, width: int) -> list[float]:
    """The normals of one path from the definition, in Python's integers."""
    half, full = (width + 1) // 2, 2**64
    if width == 1:  # two paths share a word
        return by_hand(key, step, path // 2, 2)[path % 2 :][:1]
    turns = ((14, 16), (52, 57), (23, 40), (5, 37), (25, 33), (46, 12), (58, 22), (32, 32))
    keys = [*key, 0, 0, 0x1BD11BDAA9FC1A22 ^ key[0] ^ key[1]]
    normals = []
    for j in range(half):
        index = path * half + j
        x = [(counter + word) % full for counter, word in zip((index // 4, step, 0, 0), keys, strict=False)]
        for r in range(20):
            (a, b), (i, k) = turns[r % 8], ((1, 3) if r % 2 == 0 else (3, 1))
            x[0], x[2] = (x[0] + x[i]) % full, (x[2] + x[k]) % full
            x[i] = ((x[i] << a | x[i] >> 64 - a) % full) ^ x[0]
            x[k] = ((x[k] << b | x[k] >> 64 - b) % full) ^ x[2]
            if r % 4 == 3:
                x = [(word + keys[(r // 4 + 1 + n) % 5] + (r // 4 + 1) * (n == 3)) % full for n, word in enumerate(x)]
        high, low = divmod(x[index % 4], 2**32)
        radius = math.sqrt(-2 * math.log((high % 2**31 + 0.5) / 2**31))
        normals += [radius * math.cos(2 * math.pi * low / 2**32), radius * math.sin(2 * math.pi * low / 2**32)]
    return normals[:width]


def test_the_layout_is_the_one_that_is_written_down() -> None:
    """A change of it would be a change of every stored result."""
    assert KEY == PINNED
    for width in (1, 2, 5):
        found = counter_normals(KEY, 3, torch.tensor([0, 1, 6, 10**12]), width, dtype=torch.float64)
        np.testing.assert_allclose(found.numpy(), [by_hand(KEY, 3, path, width) for path in (0, 1, 6, 10**12)], rtol=1e-12, atol=1e-12)


def test_float32_is_as_near_as_it_can_be() -> None:
    """To 1e-6, the radius too, also where u is within 2⁻²⁵ of 1, or as small as it gets; that of the rounded u (the mutant) is 5e-5 off there."""
    high = torch.tensor([0, 1, 2, 2**23, 2**24 + 1, NEAR - 1, NEAR, 2**31 - 2**8, 2**31 - 3, 2**31 - 1])
    words = ((high[:, None] << 32) + torch.arange(0, 2**32, 2**26 + 1)).flatten()
    exact, near = normal_pairs(words, torch.float64), normal_pairs(words, torch.float32).double()
    assert float((exact - near).abs().max()) < 1e-6
    rounded = (-2 * torch.log((high.float() + 0.5) * 2.0**-31)).sqrt().double()
    assert float((rounded - (exact.view(len(high), -1, 2) ** 2).sum(2).sqrt()[:, 0]).abs().max()) > 1e-5


def test_a_paths_numbers_do_not_hang_on_its_company() -> None:
    """Any subset, gaps narrow and wide, widths odd and even, both precisions; another step, path or key gives other numbers."""
    everyone = torch.arange(20_000)
    some = torch.tensor([0, 1, 7, 8, 4000, 19_999])
    for width in (1, 2, 3, 8):
        whole = counter_normals(KEY, 5, everyone, width, dtype=torch.float64)
        assert torch.equal(whole[some], counter_normals(KEY, 5, some, width, dtype=torch.float64))
        near = counter_normals(KEY, 5, some, width, dtype=torch.float32)
        torch.testing.assert_close(near.double(), whole[some], rtol=0, atol=1e-6)
        for other in (
            counter_normals(KEY, 6, everyone, width, dtype=torch.float64),
            counter_normals(key_of(8, "test"), 5, everyone, width, dtype=torch.float64),
        ):
            assert abs(float(torch.corrcoef(torch.stack([whole.flatten(), other.flatten()]))[0, 1])) < 5 / len(everyone) ** 0.5
        assert len(torch.unique(whole)) == whole.numel()
    assert counter_normals(KEY, 0, torch.arange(0), 3, dtype=torch.float64).shape == (0, 3)
    assert counter_normals(KEY, 0, everyone, 0, dtype=torch.float64).shape == (20_000, 0)


def test_counter_normals_are_normal() -> None:
    """10⁶ numbers: Kolmogorov–Smirnov, correlations of a pair's halves, of neighbours, of steps; false alarm 1e-6 each; resolves .3 % of the law. Mutant: the
    radius without its 2.
    """
    z = counter_normals(KEY, 0, torch.arange(500_000), 2, dtype=torch.float64)
    later = counter_normals(KEY, 1, torch.arange(500_000), 2, dtype=torch.float64)
    assert scipy.stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-6
    assert scipy.stats.kstest((z.flatten() / 2**0.5).numpy(), "norm").pvalue < 1e-6
    limit = scipy.stats.norm.isf(1e-6 / 2) / 500_000**0.5
    for x, y in ((z[:, 0], z[:, 1]), (z[:-1, 0], z[1:, 0]), (z[:, 0], later[:, 0]), (z[:, 0] ** 2, z[:, 1] ** 2)):
        assert abs(float(torch.corrcoef(torch.stack([x, y]))[0, 1])) < limit


def double_well() -> sg.SDE:
    return sg.sdes.SME2(sg.noises.Gaussian(sg.objectives.DoubleWell(dim=3), 0.25), 0.1)


def test_results_do_not_depend_on_the_block_size() -> None:
    """Bit for bit, with a path among others or alone; the default block streams do depend on it (the mutant)."""
    for kernel in (sg.kernels.EulerMaruyama(double_well(), 0.05), sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.DoubleWell(dim=3), 0.25), 0.1)):
        runs = [
            sg.simulate(sg.kernels.CounterStreams(kernel), [0.5, -0.5, 0.1], horizon=2.0, paths=700, seed=3, block_size=size, progress=False).states
            for size in (700, 64, 97)
        ]
        assert torch.equal(runs[0], runs[1])
        assert torch.equal(runs[0], runs[2])
        few = sg.simulate(sg.kernels.CounterStreams(kernel), [0.5, -0.5, 0.1], horizon=2.0, paths=70, seed=3, progress=False).states
        assert torch.equal(few, runs[0][:, :70])
        block = [sg.simulate(kernel, [0.5, -0.5, 0.1], horizon=2.0, paths=700, seed=3, block_size=size, progress=False).states for size in (700, 64)]
        assert not torch.equal(block[0], block[1])


def test_exit_times_do_not_depend_on_the_block_size_nor_on_who_has_left() -> None:
    kernel = sg.kernels.CounterStreams(sg.kernels.Heun(sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0), 0.1), 0.05))
    options: dict[str, Any] = {"region": sg.regions.Interval(-0.4, 0.4), "horizon": 50.0, "paths": 500, "seed": 5, "progress": False}
    found = [sg.exit_times(kernel, [0.0], block_size=size, **options) for size in (500, 64, 33)]
    assert all(np.array_equal(found[0].times, other.times) for other in found[1:])
    precise = sg.exit_times(kernel, [0.0], precision=0.3, **options)  # paused and resumed on the way
    early = np.asarray(found[0].times) <= precise.horizon
    assert np.array_equal(np.asarray(found[0].times)[early], np.asarray(precise.times)[early])


def test_splitting_is_refused() -> None:
    kernel = sg.kernels.CounterStreams(sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25), 0.1))
    with pytest.raises(InputError, match="numbers its paths"):
        sg.rare_exit_time(kernel, [-1.0], region=sg.regions.Interval(-math.inf, 0.0), seed=1)


def test_points_have_the_moments_of_their_order() -> None:
    for table, right in ((_two_points(), 3), (_four_points(), 5)):
        z = table.flatten()
        normal = [1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 15.0]
        moments = [float((z**k).mean()) for k in range(7)]
        np.testing.assert_allclose(moments[: right + 1], normal[: right + 1], atol=1e-12)
        assert abs(moments[right + 1] - normal[right + 1]) > 0.5
    assert FOUR_POINT[0] == pytest.approx(1 - math.sqrt(2 / 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weak_increments_are_independent_and_balanced(dtype: torch.dtype) -> None:
    """Means and correlations over 2·10⁵ numbers, between the places of a byte too; false alarm 1e-6 together. The mutant, a byte used twice, fails."""
    kernel = sg.kernels.WeakIncrements(sg.kernels.EulerMaruyama(double_well(), 0.05))
    theta = torch.zeros(70_001, 3, dtype=dtype)
    dw = kernel.increments(sg.kernel.State(theta), 0, sg.rng.stream(1, "test")) / kernel.dt**0.5
    assert dw.dtype == dtype
    signs = dw.flatten().double()
    assert set(signs.sign().unique().tolist()) == {-1.0, 1.0}
    limit = scipy.stats.norm.isf(1e-7) / len(signs) ** 0.5
    assert abs(float(signs.mean())) < limit
    for lag in (1, 2, 3, 7, 8, 9, 31, 32, 33, 64):
        assert abs(float((signs[lag:] * signs[:-lag]).mean())) < 2 * limit
        assert abs(float((signs.roll(lag) * signs.roll(lag)).mean())) > 2 * limit


def lattice(kernel: sg.kernels.Driven, points: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Every end point of ``steps`` steps on increments √dt·points, equally likely: no sampling."""
    theta = torch.tensor([[0.5]], dtype=torch.float64)
    for _ in range(steps):
        dw = (points * kernel.dt**0.5).repeat(len(theta))[:, None]
        theta = kernel.kernel.step(theta.repeat_interleave(len(points), 0), 0.0, dw)
    return theta


@pytest.mark.parametrize(("scheme", "order"), [(sg.kernels.EulerMaruyama, 1), (sg.kernels.Heun, 2)])
def test_weak_increments_keep_the_weak_order(scheme: Any, order: int) -> None:
    """Errors of E x⁴ and E cos x by all lattice paths against the oracle, in a double well. Mutant: two points in Heun's place."""
    sde = sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.DoubleWell(), 4.0), 0.1)
    functions = {"x⁴": lambda x: x[:, 0] ** 4, "cos": lambda x: torch.cos(x[:, 0])}
    exact = sg.oracles.sde_expectations(sde, theta0=[[0.5]], horizon=0.1, functions=functions).value[:, 0]

    def orders(points: torch.Tensor) -> list[float]:
        errors = []
        for steps in (7, 14) if len(points) == 2 else (2, 4):
            end = lattice(sg.kernels.WeakIncrements(scheme(sde, 0.1 / steps)), points, steps)
            errors.append([float(function(end).mean()) for function in functions.values()] - exact)
        return list(np.log2(errors[0] / errors[1]))

    values = torch.unique(_four_points())
    four = torch.cat([values[1:3].repeat(3), values[[0, 3]]])  # the inner pair three times as likely
    two = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    assert all(abs(found - order) < 0.35 for found in orders(two if order == 1 else four))
    if order == 2:
        assert all(found < 1.65 for found in orders(two))


def test_weak_increments_are_refused_where_the_law_counts() -> None:
    weak = sg.kernels.WeakIncrements(sg.kernels.EulerMaruyama(double_well(), 0.05))
    with pytest.raises(InputError, match="law of the path"):
        sg.exit_times(weak, [0.1, 0.1, 0.1], region=sg.regions.Ball([0.0] * 3, 1.0), horizon=1.0, paths=4, seed=1)
    with pytest.raises(InputError, match="takes no Brownian increments"):
        sg.kernels.Coupled(weak, weak)
    ou = sg.kernels.ExactOU(sg.sdes.SME1.examples()[0], 0.4)
    for kernel in (ou, sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25), 0.1), weak):
        with pytest.raises(InputError, match="drives EulerMaruyama and Heun"):
            sg.kernels.WeakIncrements(kernel)
    with pytest.raises(InputError, match="drives SGD with a Gaussian noise"):
        sg.kernels.CounterStreams(weak)


def test_a_path_that_fails_leaves_the_others_numbers_alone() -> None:
    """Paths far out diverge; the others end where they end without them."""
    kernel = sg.kernels.CounterStreams(sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.01), 0.3))
    starts = torch.full((300, 1), 0.5, dtype=torch.float64)
    calm = sg.simulate(kernel, starts, horizon=6.0, seed=4, progress=False)
    starts[::3] = 50.0
    mixed = sg.simulate(kernel, starts, horizon=6.0, seed=4, progress=False)
    assert (mixed.status[::3] == int(Status.DIVERGED)).all()
    keep = torch.ones(300, dtype=torch.bool)
    keep[::3] = False
    assert torch.equal(mixed.states[-1][keep], calm.states[-1][keep])
