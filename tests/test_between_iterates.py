"""λmax between two iterates: against dense eigenvalues along the segment, on a classical objective and on a batch-normalised network; the protocol in a result.

Exact up to the Lanczos tolerance.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import sgdsde as sg
from sgdsde.calculus import hessian
from sgdsde.measurements import trained_digits as measured
from sgdsde.measurements.trained_digits import trained_digits
from sgdsde.training import TrainingNetwork, largest_between
from sgdsde.types import InputError


def test_the_double_well_is_sharpest_at_the_far_end() -> None:
    """f″ = 3x² − 1 from .5 to 2: 11 at the end; from −2 to 2: 11 at both ends (the first counts); at .5 alone −.25."""
    well = sg.objectives.DoubleWell()
    found = largest_between(well, torch.tensor([[0.5], [-2.0]]).double(), torch.tensor([[2.0], [2.0]]).double(), points=7)
    assert torch.allclose(found.values, torch.tensor([11.0, 11.0]).double())
    assert torch.allclose(found.places, torch.tensor([1.0, 0.0]).double())
    assert torch.allclose(found.at_iterate, torch.tensor([-0.25, 11.0]).double())
    inside = largest_between(well, torch.tensor([[-2.0]]).double(), torch.tensor([[1.0]]).double(), points=4)
    assert float(inside.places) == 0.0


def test_a_batch_normalised_network_against_dense_matrices() -> None:
    g = torch.Generator().manual_seed(2)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    trained = TrainingNetwork(module, "cross_entropy", torch.randn(12, 3, generator=g).double(), torch.arange(12) % 2)
    f = trained.objective()
    before = trained.frozen.initial(2, g)
    after = before - 3 * torch.autograd.functional.jacobian(lambda t: f.loss(t).sum(), before)
    found = largest_between(f, before, after, points=3, tolerance=1e-8)
    for p in range(2):
        dense = [float(torch.linalg.eigvalsh(hessian(f, torch.lerp(before[p], after[p], t)[None])[0])[-1]) for t in (0.0, 0.5, 1.0)]
        assert float(found.values[p]) == pytest.approx(max(dense), rel=1e-6)
        assert float(found.at_iterate[p]) == pytest.approx(dense[0], rel=1e-6)
        assert float(found.places[p]) == 0.5 * dense.index(max(dense))


def test_the_protocol_is_an_argument_and_part_of_the_result() -> None:
    """One setting measured both ways: the same runs and accuracy, λmax no smaller on the segment; the notes say which is which."""
    plain = {"rate": 0.5, "batch": 50, "norm": "batch", "most": 3}
    made = trained_digits(seed=3, level=0.95, settings={"at": plain, "between": plain | {"line": 3}}, seeds=3, samples=100, most=3)
    found = made.estimates
    assert found["at/accuracy"].value == found["between/accuracy"].value
    assert found["between/lambda at iterate"].value == pytest.approx(found["at/lambda"].value)
    assert found["between/lambda"].value >= found["at/lambda"].value
    assert "at/lambda at iterate" not in found
    assert "largest at 3 places between two iterates" in made.notes[1]
    assert "between two iterates" not in made.notes[0]


def test_bad_segments_are_refused_in_words() -> None:
    well = sg.objectives.DoubleWell()
    with pytest.raises(InputError, match="at least 2 places"):
        largest_between(well, torch.zeros(1, 1).double(), torch.ones(1, 1).double(), points=1)
    with pytest.raises(InputError, match="equal shapes"):
        largest_between(well, torch.zeros(1, 1).double(), torch.ones(2, 1).double())


def test_settings_of_one_network_share_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """λmax at the start is measured once for each network, and is what it would be alone; a batch-normalised one has its own."""
    calls = []
    whole = measured.largest_eigenvalues

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return whole(*arguments, **named)

    monkeypatch.setattr(measured, "largest_eigenvalues", counted)
    base: dict[str, Any] = {"rate": 0.5, "batch": 50, "most": 2}
    settings = {"a": base, "b": base | {"rate": 0.1}, "c": base | {"norm": "batch"}}
    together = trained_digits(seed=3, level=0.95, settings=settings, seeds=2, samples=100, most=2).estimates
    assert len(calls) == 3 + 2
    for name, setting in settings.items():
        alone = trained_digits(seed=3, level=0.95, settings={name: setting}, seeds=2, samples=100, most=2).estimates
        assert alone[f"{name}/sharpening"].value == together[f"{name}/sharpening"].value
