"""Every objective that stands in ``sgdsde/objectives`` passes the same battery; a class without ``examples()`` fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from battery.objective_checks import CHECKS, CLASSES, close, every, points

import sgdsde.objectives
from sgdsde import calculus
from sgdsde.objective import Objective


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_objective_offers_examples(cls: type[Objective]) -> None:
    assert hasattr(cls, "examples"), f"{cls.__name__} needs a classmethod examples() -> list[Objective] to enter the battery"
    assert all(isinstance(f, cls) for f in cls.examples())
    assert cls.examples()


#: what goes with networks and is no objective
COMPANIONS = {"InitialDistribution", "frozen", "load_networks", "save_networks"}


def test_the_listing_is_complete() -> None:
    public = {cls.__name__ for cls in CLASSES if not cls.__name__.startswith("_")}
    assert public | COMPANIONS == set(sgdsde.objectives.__all__)
    assert not public & COMPANIONS


@every
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_battery(check: Callable[[Objective], None], f: Objective) -> None:
    check(f)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_facts_on_a_gpu(f: Objective) -> None:
    theta = points(f)
    for function in (
        calculus.grad,
        calculus.hessian,
        lambda g, t: calculus.hvp(g, t, t),
        lambda g, t: calculus.third(g, t, t, t),
        lambda g, t: g.sample_loss(t),
    ):
        there = function(f, theta.cuda())
        assert there.is_cuda
        close(there.cpu(), function(f, theta), 1e-10)
