"""Regions: inside, distances, normals and sides agree with each other and with finite differences; bad input is refused."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.region import Bordered
from sgdsde.regions import Ball, Box, HalfSpace, Interval, Outside, Positive, Sublevel, Where, as_interval, as_region
from sgdsde.types import InputError


def bowl(theta: Tensor) -> Tensor:
    return 1 - (theta**2).sum(1)


def first_positive(theta: Tensor) -> Tensor:
    return theta[:, 0] > 0


WELL = sg.objectives.DoubleWell(2)
REGIONS: list[tuple[Bordered, int]] = [
    (Ball([0.2, -0.1, 0.4], 0.9), 3),
    (HalfSpace([1.0, -2.0], 0.3), 2),
    (Interval(-0.4, 0.7), 1),
    (Interval(-math.inf, 0.7), 1),
    (Interval(-0.5, math.inf), 1),
    (Box([-0.5, -math.inf, -0.2], [0.4, 0.3, math.inf]), 3),
    (Sublevel(WELL, 0.1), 2),
    (Positive(bowl), 2),
    (Outside(Ball([0.5, 0.0], 0.6)), 2),
    (Outside(Box([-0.3, -0.3], [0.4, 0.5])), 2),
]


def points(dim: int, count: int = 400) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


@pytest.mark.parametrize(("region", "dim"), REGIONS, ids=lambda v: type(v).__name__ if isinstance(v, Bordered) else str(v))
def test_inside_is_where_all_distances_are_positive(region: Bordered, dim: int) -> None:
    theta = points(dim)
    inside, distances, side = region.inside(theta), region.distances(theta), region.side(theta)
    assert 0 < int(inside.sum()) < len(theta)
    assert torch.equal(inside, (distances > 0).all(1))
    assert torch.equal(inside, side == 0)
    assert set(side[~inside].tolist()) <= set(region.labels)
    assert distances.shape == (len(theta), len(region.labels))
    again = pickle.loads(pickle.dumps(region))
    assert torch.equal(again.inside(theta), inside)
    assert torch.equal(region.inside(theta.float()), inside)


@pytest.mark.parametrize(("region", "dim"), REGIONS, ids=lambda v: type(v).__name__ if isinstance(v, Bordered) else str(v))
def test_distance_falls_by_the_step_along_the_normal_near_the_border(region: Bordered, dim: int) -> None:
    """First order: d(θ + h·n) = d(θ) − h + O(h² + h·d) for points within .02 of a face, and d itself is the way to the border."""
    theta = points(dim, 20_000)
    distances, normals = region.distances(theta), region.normals(theta)
    near = distances.abs() < 0.02
    rows, faces = torch.nonzero(near, as_tuple=True)
    assert len(rows) > 20
    n = normals[rows, faces]
    assert torch.allclose(n.norm(dim=1), torch.ones(len(rows), dtype=torch.float64))
    moved = region.distances(theta[rows] + 1e-5 * n)[torch.arange(len(rows)), faces]
    corner = isinstance(region, Outside) and isinstance(region.inner, Box)  # beside an edge the distance is to the plane of a face
    slope = (distances[rows, faces] - moved) / 1e-5
    assert float((slope - 1).abs().quantile(0.9 if corner else 1.0)) < 0.15
    landed = region.distances(theta[rows] + distances[rows, faces][:, None] * n)[torch.arange(len(rows)), faces]
    assert float(landed.abs().quantile(0.9 if corner else 1.0)) < 2e-3


def test_sides_are_labelled() -> None:
    assert Interval(-1, 1).side(torch.tensor([[-2.0], [0.0], [3.0]])).tolist() == [-1, 0, 1]
    box = Box([-1, -1], [1, 1])
    assert box.side(torch.tensor([[0.0, 2.0], [-3.0, 0.0], [0.0, -1.5], [5.0, 2.0]])).tolist() == [2, -1, -2, 1]
    assert Where(first_positive).side(torch.tensor([[1.0], [-1.0]])).tolist() == [0, 1]


def test_a_ball_has_a_normal_at_its_center_and_a_sublevel_set_no_border_there() -> None:
    assert Ball([0.0, 0.0], 1.0).normals(torch.zeros(1, 2, dtype=torch.float64)).tolist() == [[[1.0, 0.0]]]
    level = Sublevel(sg.objectives.Quadratic([1.0]), 0.5)
    bottom = torch.zeros(1, 1, dtype=torch.float64)
    assert math.isinf(float(level.distances(bottom)))
    assert float(level.normals(bottom)) == 0.0


def test_sublevel_is_positive_of_the_gap() -> None:
    theta = points(2)
    level, same = Sublevel(WELL, 0.1), Positive(gap)
    assert torch.allclose(level.distances(theta), same.distances(theta))
    assert torch.allclose(level.normals(theta), same.normals(theta))


def gap(theta: Tensor) -> Tensor:
    return 0.1 - WELL.loss(theta)


def test_one_dimensional_shapes_are_intervals() -> None:
    for region, ends in (
        (Ball([1.0], 2.0), (-1, 3)),
        (Box([-1.0], [2.0]), (-1, 2)),
        (HalfSpace([2.0], 3.0), (-math.inf, 1.5)),
        (HalfSpace([-2.0], 3.0), (-1.5, math.inf)),
        (Interval(0, 1), (0, 1)),
    ):
        interval = as_interval(region)
        assert (interval.low, interval.high) == ends


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Ball([0.0], -1.0), "radius"),
        (lambda: Ball([math.nan], 1.0), "center"),
        (lambda: HalfSpace([0.0, 0.0], 1.0), "zero vector"),
        (lambda: Interval(1.0, 1.0), "empty"),
        (lambda: Interval(-math.inf, math.inf), "whole line"),
        (lambda: Box([0.0, 0.0], [1.0]), "equal shapes"),
        (lambda: Box([0.0, 2.0], [1.0, 1.0]), "low < high"),
        (lambda: Box([-math.inf, -math.inf], [math.inf, math.inf]), "whole space"),
        (lambda: Sublevel(WELL, math.inf), "finite loss"),
        (lambda: Outside(Where(first_positive)), "border"),
        (lambda: Positive(3), "wanted a function"),
        (lambda: as_region("inside"), "wanted a sg.Region"),
        (lambda: Where(bowl).inside(points(2)), "Positive"),
        (lambda: Where(lambda theta: theta > 0).inside(points(2)), "bool tensor"),
        (lambda: Where(lambda theta: True).inside(points(2)), "bool tensor"),
        (lambda: Positive(first_positive).inside(points(2)), "floating numbers"),
        (lambda: as_interval(Sublevel(WELL, 0.1)), "no interval"),
    ],
)
def test_bad_regions_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
