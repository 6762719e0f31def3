"""The map of the atlas: what counts as good advice, a small grid held against the exact errors, and advice that does not hang on slopes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sgdsde as sg
from sgdsde.runs.listing import load
from sgdsde.types import InputError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def study():  # type: ignore[no-untyped-def]
    return load("atlas-map", ROOT / "experiments")


def judged(study, advice, exact, factor=2.0):  # type: ignore[no-untyped-def]
    import sys

    return sys.modules[type(study).__module__].judge(np.array(advice), np.array(exact, dtype=float), factor)


def test_good_advice_is_within_the_factor_of_the_best(study) -> None:  # type: ignore[no-untyped-def]
    nan = np.nan
    exact = [[[0.3, 0.1, nan, nan, nan, nan, nan], [0.3, 0.1, nan, nan, nan, nan, nan], [0.3, nan, nan, nan, nan, nan, nan], [1e-12, 1e-10] + [nan] * 5]]
    good, checked, named = judged(study, [[1, 0, 7, 1]], exact)
    assert good.tolist() == [[True, False, False, True]]  # 1e-10 and 1e-12 are both no error
    assert checked.tolist() == named.tolist() == [[True, True, False, True]]
    good, checked, _ = judged(study, [[0, 2]], [[exact[0][0], exact[0][1]]], factor=4.0)
    assert good.tolist() == [[True, False]]
    assert checked.tolist() == [[True, False]]  # the advised model's exact error is not known there


def test_a_small_map_is_right_about_every_cell(study) -> None:  # type: ignore[no-untyped-def]
    """Quadratic and rippled, below and beyond ηλ = 1; deterministic. Taking the worst model for the advice (the mutant) is wrong in every cell below 1."""
    config = study.config(x=(0.3, 0.7, 1.3), sigma=(0.2, 0.6), anharmonicity=(0.0, 0.4))
    cells = {cell: study.block(config, cell, paths=1, seed=0) for cell in study.cells(config)}
    for cell, stored in cells.items():
        advice, exact = stored["advice"].mean[None], np.where(stored["exact"].lost == 0, stored["exact"].mean, np.nan)[None]
        good, checked, _ = judged(study, advice.astype(int), exact)
        assert (good == checked).all(), cell
        assert checked.sum() >= 2, cell
        worst = np.nanargmax(exact, -1)
        wrong, seen, _ = judged(study, worst, exact)
        assert seen.all()
        assert not wrong[:, :2].any()
    summary = study.summary(config, cells)
    assert len(summary.panels) == 3
    assert all(line.estimate.value == 1 for line in summary.lines if "share of checked" in line.quantity)


def test_a_small_error_that_falls_too_fast_does_not_speak_against_a_model() -> None:
    """HA-SME at ηλ = .44 on a faint ripple errs by .2 % of a standard deviation, falling like η³·⁶. SME-3 errs by 6 %: naming it would be wrong."""
    noise = sg.noises.Gaussian(sg.objectives.PeriodicWell(curvature=1 / 1.1, amplitude=0.1 / 1.1), 0.25)
    found = sg.atlas(noise, 0.5, [1.3])
    assert found.recommended == "HASME"
    assert found["HASME"].settled
    assert not found["HASME"].asymptotic
    assert found["SME3"].worst > 10 * found["HASME"].worst
    assert any("Do not carry these errors over" in sentence for sentence in found.recommendation)


@pytest.mark.parametrize("wrong", [{"x": (0.5, 0.3)}, {"x": (0.5, 1.0)}, {"sigma": (0.5,)}, {"anharmonicity": (0.1, 0.1)}])
def test_grids_are_refused(study, wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"wanted different|x = 1 is where"):
        study.check(study.config(**wrong))
