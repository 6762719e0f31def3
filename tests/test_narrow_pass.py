"""What the narrow pass is for: the same heights as the double well, another determinant at the saddle. The battery of objectives checks its derivatives."""

from __future__ import annotations

import math

import pytest
import torch

import sgdsde as sg
from sgdsde.types import InputError


@pytest.mark.parametrize(("dim", "valley", "narrowing"), [(2, 1.0, 8.0), (4, 0.5, 1.0)])
def test_eyring_kramers_sees_the_narrowing(dim: int, valley: float, narrowing: float) -> None:
    f = sg.objectives.NarrowPass(dim, valley=valley, narrowing=narrowing)
    line = sg.oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [0.0], temperature=0.05)
    law = sg.oracles.eyring_kramers(f, f.facts.minima[0], f.facts.saddles[0], temperature=0.05)
    assert law / line == pytest.approx(math.sqrt((valley + narrowing) / valley) ** (dim - 1), rel=1e-12)


def test_the_valley_floor_is_the_double_well() -> None:
    f, line = sg.objectives.NarrowPass(3), sg.objectives.DoubleWell()
    x = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)[:, None]
    floor = torch.cat([x, torch.zeros(7, 2, dtype=torch.float64)], 1)
    assert torch.allclose(f.loss(floor), line.loss(x), atol=1e-15)
    assert (f.loss(floor + torch.tensor([0.0, 0.3, -0.2])) > f.loss(floor)).all()


@pytest.mark.parametrize("arguments", [{"dim": 1}, {"valley": 0.0}, {"narrowing": -1.0}, {"narrowing": math.inf}])
def test_bad_input_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError, match="wanted"):
        sg.objectives.NarrowPass(**arguments)
