"""Claims about noise that follows the landscape, and about heavy tails: supported or contradicted as they stand, otherwise when something is broken.

Only measurements without paths are run; they are exact, so that nothing here is left to chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from test_claims_oracle import outcomes
from torch import Tensor

import sgdsde as sg
from sgdsde.claim import Claim, Outcome, Role
from sgdsde.claims import b10_flat_minima, b10_other_forms, b10_published_exponent, b11_inputs, b11_log_barrier, b13_heavy_tails
from sgdsde.measurements import flat_minima, loss_shaped, stable_exits
from sgdsde.regions import Interval

HELD, REFUTED = {Outcome.SUPPORTED}, {Outcome.SUPPORTED, Outcome.CONTRADICTED}


class NearlyIsotropic(flat_minima.Shaped):
    """A tenth of a power of |H| is left in the noise."""

    def of(self, values: Tensor) -> Tensor:
        return (values**2 + self.floor**2) ** 0.05


class RootBatch(loss_shaped.LossShaped):
    """1/√B for 1/B, and half the noise."""

    def __call__(self, theta: Tensor) -> Tensor:
        return super().__call__(theta) * self.batch**0.5 / 2


def heavier(law: float | str, width: float, height: float, step: float) -> sg.Noise:
    """α a tenth too small."""
    return stable_exits.SymmetricStable(sg.objectives.CosineWell(width=width, height=height), 0.9 * float(law), step / stable_exits.ETA)


def without_the_sphere(dim: int, b: float, ratio: float) -> tuple[float, float]:
    """The line's integral in every dimension."""
    return RADIAL(1, b, ratio)


RADIAL = loss_shaped.radial
EXPONENT = flat_minima.sde_exponent


@dataclass(frozen=True)
class Case:
    """A claim, one of its measurements, the outcomes of its rows, and what changes them."""

    claim: Claim
    measurement: str
    stands: set[Outcome]
    mutant: Callable[[pytest.MonkeyPatch], None]
    broken: set[Outcome]


CASES = (
    Case(
        b10_flat_minima.FlatMinima(),
        "flat against sharp",
        HELD,
        lambda m: m.setattr(flat_minima, "sde_exponent", lambda sde, a, b: EXPONENT(sde, a, b) / 2),
        REFUTED,
    ),
    Case(
        b10_flat_minima.FlatMinima(),
        "power of sharpness, isotropic",
        HELD,
        lambda m: m.setitem(flat_minima.FORMS, "isotropic", NearlyIsotropic),
        {Outcome.CONTRADICTED},
    ),
    Case(
        b10_other_forms.OtherForms(), "flat against sharp, two forms", REFUTED, lambda m: m.setitem(flat_minima.FORMS, "positive", flat_minima.Absolute), HELD
    ),
    Case(
        b10_published_exponent.PublishedExponent(),
        "published exponent",
        {Outcome.CONTRADICTED},
        lambda m: m.setattr(flat_minima, "sde_exponent", lambda sde, a, b: EXPONENT(sde, a, b) / 10),
        HELD,
    ),
    Case(b11_log_barrier.LogBarrier(), "log barrier on the line", HELD, lambda m: m.setattr(loss_shaped, "LossShaped", RootBatch), {Outcome.CONTRADICTED}),
    Case(b11_log_barrier.LogBarrier(), "log barrier in n dimensions", HELD, lambda m: m.setattr(loss_shaped, "radial", without_the_sphere), REFUTED),
    Case(
        b11_log_barrier.LogBarrier(),
        "log barrier of a diagonal net",
        HELD,
        lambda m: m.setattr(loss_shaped, "inputs_of", partial(np.full, 24)),  # one input, 2: no gradient noise of its own
        {Outcome.CONTRADICTED},
    ),
    Case(b11_inputs.Inputs(), "label noise in least squares, drawn", REFUTED, lambda m: m.setattr(loss_shaped, "inputs_of", twos(loss_shaped.inputs_of)), HELD),
    Case(b13_heavy_tails.HeavyTails(), "exits by jumps", HELD, lambda m: m.setattr(stable_exits, "well_noise", heavier), REFUTED),
)


#: measurements of which only the drawn cases are run here
DRAWN_ONLY: dict[str, Any] = {"log barrier on the line": b11_log_barrier, "exits by jumps": b13_heavy_tails}


def twos(right: Callable[[float], Any]) -> Callable[[float], Any]:
    """Kurtosis 2 whatever was asked for."""
    return lambda kurtosis: right(2.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.claim.id} {case.measurement}")
def test_a_claim_stands_and_its_mutant_does_not(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed cases of the costly ones are left to the ledger; drawn ones and the first-order model are run here."""
    monkeypatch.setattr(b10_flat_minima, "PROCESSES", {"SME1": b10_flat_minima.PROCESSES["SME1"]})
    if case.measurement in DRAWN_ONLY:
        monkeypatch.setattr(DRAWN_ONLY[case.measurement], "LISTED", {})
    assert outcomes(case.claim, case.measurement) == case.stands
    case.mutant(monkeypatch)
    assert outcomes(case.claim, case.measurement) == case.broken


@pytest.mark.parametrize(
    ("claim", "measurement"),
    [
        (b10_flat_minima.FlatMinima(), "power of sharpness, absolute"),
        (b11_log_barrier.LogBarrier(), "linear barrier on the line"),
        (b13_heavy_tails.HeavyTails(), "exits by diffusion"),
    ],
)
def test_controls_fail_as_they_must(claim: Claim, measurement: str) -> None:
    assert outcomes(claim, measurement, role=Role.CONTROL) == {Outcome.SUPPORTED}


def test_kramers_law_with_multiplicative_noise() -> None:
    """Exact over the law of docs/theory/anisotropic_escape.md → 1 as B/η grows; without √(Q(c)/Q(a)) it is off by a quarter."""
    wells = {"flat": 1.0, "sharp": 4.0, "barrier": 0.25, "floor": 0.5}
    objective = flat_minima.wells_of(wells)
    flat, _, top = objective.curvatures
    shape = flat_minima.Absolute(objective, 1.0, 0.5)
    size = shape(torch.tensor([[objective.facts.minima[0][0]], [0.0]], dtype=torch.float64))[:, 0, 0]
    errors = []
    for batch in (2.0, 8.0, 32.0):
        pair = flat_minima.pair_of(wells, "absolute", "SME1", 0.1, batch)
        law = math.log(2 * math.pi / math.sqrt(flat * top)) + 0.5 * math.log(float(size[1] / size[0])) + pair.exponents[0]
        errors.append(abs(math.exp(pair.logs[0] - law) - 1))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.02
    assert abs(float(size[1] / size[0]) ** 0.5 - 1) > 0.04


def test_the_radial_integral_is_the_lines_oracle_and_a_planes_closed_form() -> None:
    """n = 1: the scale function; n = 2: Eτ = ∫(1+r²)^b/r ∫2b·r(1+r²)^{−1−b} = ∫((1+r²)^b − 1)/r dr; the factor is 1/h."""
    case = partial(loss_shaped.on_the_line, "SME1", sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), loss_shaped.LossShaped(1.0, 0.5, 1.0)), 0.1, 0.0)
    assert case(partial(loss_shaped.ball_of, 1.0, 0.5), 30.0)[0] == pytest.approx(RADIAL(1, 10.0, 30.0)[0], abs=2e-5)
    exact, _ = scipy.integrate.quad(lambda r: ((1 + r * r) ** 3 - 1) / r, 0, math.sqrt(9.0))
    assert RADIAL(2, 3.0, 10.0)[0] == pytest.approx(math.log(exact), abs=1e-5)


@pytest.mark.parametrize("kurtosis", [1.0, 2.0, 3.0, 4.0])
def test_label_noise_has_the_covariance_of_its_kurtosis(kurtosis: float) -> None:
    """Σ = (h/B)(2L₀ + (κ − 1)hθ²) from the per-sample gradients; 2L·H/B only at κ = 2."""
    x, y = loss_shaped.labelled(kurtosis, 0.5)
    noise = sg.noises.Minibatch(sg.objectives.LeastSquares(x, y), 3)
    theta = torch.tensor([[0.0], [0.7], [-2.0]], dtype=torch.float64)
    found = noise.covariance(theta)[:, 0, 0]
    assert torch.allclose(found, (1 + (kurtosis - 1) * theta[:, 0] ** 2) / 3, atol=1e-12)
    loss = noise.objective.loss(theta)
    assert torch.allclose(found, 2 * loss / 3, atol=1e-12) == (kurtosis == 2.0)


def test_the_line_of_a_diagonal_net_is_not_left_and_has_its_losses() -> None:
    net = sg.objectives.DiagonalNet(*loss_shaped.labelled(3.0, 0.1, slope=1.0))
    theta = torch.tensor([[0.8, 0.0], [1.2, 0.0]], dtype=torch.float64)
    grads = sg.calculus.sample_grads(net, theta)
    assert bool((grads[:, :, 1] == 0).all())
    line = loss_shaped.OnTheLine(net)
    assert torch.allclose(sg.calculus.sample_grads(line, theta[:, :1])[:, :, 0], grads[:, :, 0], atol=1e-12)
    start = sg.exit_times(
        sg.kernels.SGD(sg.noises.Minibatch(net, 2), 0.05), [1.0, 0.0], region=sg.regions.Box([0.9, -1.0], [1.1, 1.0]), horizon=50, paths=20, seed=1
    )
    assert bool((start.states[:, 1] == 0).all())


def test_a_step_in_the_plane_has_the_lines_noise_along_it() -> None:
    """C(H) with the whole Hessian: its first entry is the line's, and a rotated Hessian gives the rotated C."""
    wells = {"flat": 1.0, "sharp": 4.0, "barrier": 0.25, "floor": 0.3}
    theta = torch.tensor([[0.3, 1.0], [-1.0, 0.2]], dtype=torch.float64)
    plane = flat_minima.Absolute(flat_minima.wells_of(wells, 2), 2.0, 0.3)(theta)
    line = flat_minima.Absolute(flat_minima.wells_of(wells), 2.0, 0.3)(theta[:, :1])
    assert torch.allclose(plane[:, 0, 0], line[:, 0, 0])
    turned = flat_minima.Absolute(sg.objectives.Quadratic([[1.0, 2.0], [2.0, -1.0]]), 1.0, 1e-9)(theta[:1])
    assert torch.allclose(turned[0], torch.eye(2, dtype=torch.float64) * math.sqrt(5), atol=1e-8)


def test_two_wells_are_what_they_are_called() -> None:
    """Equal depths, the barrier from either side, the curvatures stated; a stretched line moves no height."""
    for flat, sharp, height in ((1.0, 4.0, 0.25), (0.5, 8.0, 0.4), (2.0, 2.0, 0.1)):
        wells = sg.objectives.SharpFlatWells(flat=flat, sharp=sharp, barrier=height)
        points = torch.tensor([*wells.facts.minima, *wells.facts.saddles], dtype=torch.float64)
        assert torch.allclose(wells.loss(points), torch.tensor([0.0, 0.0, height], dtype=torch.float64), atol=1e-12)
        assert torch.allclose(sg.calculus.grad(wells, points), torch.zeros_like(points), atol=1e-10)
        H = sg.calculus.hessian(wells, points)[:, 0, 0]
        assert torch.allclose(H, torch.tensor([*wells.curvatures[:2], -wells.curvatures[2]], dtype=torch.float64), rtol=1e-9)
        assert wells.curvatures[0] == pytest.approx(flat, rel=0.05)
        assert wells.curvatures[1] == pytest.approx(sharp, rel=0.05)
    with pytest.raises(sg.types.InputError, match="flat ≤ sharp"):
        sg.objectives.SharpFlatWells(flat=3.0, sharp=1.0)
    with pytest.raises(sg.types.InputError, match="dim"):
        sg.objectives.SharpFlatWells(0)


def test_listed_numbers() -> None:
    """Regression: slopes and powers of the theory note."""
    wells = b10_flat_minima.LISTED["H 1 and 4"]
    gaps = [flat_minima.pair_of(wells, "absolute", "SME1", 0.05, b).gap for b in (4.0, 8.0)]
    assert (gaps[1] - gaps[0]) / 80 == pytest.approx(0.624, abs=1e-3)
    law = sg.oracles.sgd_mean_exit(stable_exits.well_noise(1.5, 2.0, 3.0, 0.025), 0.1, 0.0, Interval(-2.0, 2.0))
    assert law.steps == pytest.approx(1737, abs=1.0)
