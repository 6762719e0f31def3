"""Solutions at one loss and lines between them, on a few digits: each number from the points themselves; the study of basins."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from curvature_studies import figure_of, run_of, small

from sgdsde.calculus import hessian
from sgdsde.measurements import solutions as module
from sgdsde.measurements.classifiers import starts
from sgdsde.measurements.solutions import LINES, POINTS, names, solutions
from sgdsde.training import SAM, SGD, LossBelow, train
from sgdsde.types import InputError

OPTIONS: dict[str, object] = {"eta": 0.3, "batches": (5,), "radius": 0.05, "loss": 0.6, "lower": 0.2, "most": 1000, "shown": 6, "classes": 10, "seed": 7}


def test_solutions_and_lines_are_what_they_say() -> None:
    """Trained anew here: the eigenvalues of the full-batch solution, the loss halfway between two solutions, the height above the chord, the distance."""
    _, f = small(width=12, depth=1, samples=40)
    theta = starts(f, 1, 2)
    found = solutions(f, theta[:1], theta[1:], **OPTIONS)  # type: ignore[arg-type]

    def solved(start: torch.Tensor, optimiser: SGD | SAM, batch: int, level: float, seed: int) -> torch.Tensor:
        return train(f, start, optimiser=optimiser, batch_size=batch, steps=1000, seed=seed, stop=LossBelow(level=level, every=10)).final

    full, few = solved(theta[:1], SGD(0.3), f.n, 0.6, 7), solved(theta[:1], SGD(0.3), 5, 0.6, 7)
    sam, apart = solved(theta[:1], SAM(0.3, radius=0.05), 5, 0.6, 7), solved(theta[1:], SGD(0.3), 5, 0.6, 9)
    after = solved(full, SGD(0.3), 5, 0.2, 8)
    for index, point in enumerate((few, full, sam)):
        wanted = torch.linalg.eigvalsh(hessian(f, point)[0]).flip(0)[:6]
        np.testing.assert_allclose(found.top[0, index], wanted.numpy(), rtol=1e-6)
    for index, (a, b) in enumerate(((full, after), (few, full), (few, sam), (few, apart))):
        losses = np.array([float(f.loss((1 - t) * a + t * b)) for t in np.linspace(0, 1, POINTS)])
        np.testing.assert_allclose(found.losses[0, index], losses, rtol=1e-9)
        chord = np.linspace(losses[0], losses[-1], POINTS)
        assert found.heights[0, index] == pytest.approx((losses - chord).max() / math.log(10), abs=1e-12)
        assert found.apart[0, index] == pytest.approx(float((b - a).norm()))
    assert found.losses[0, 0, 0] <= 0.6
    assert found.losses[0, 0, -1] <= 0.2
    assert found.heights[0, 3] > found.heights[0, 0]


def test_what_is_not_reached_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, f = small()
    theta = starts(f, 1, 2)
    found = solutions(f, theta[:1], theta[1:], **(OPTIONS | {"most": 20}))  # type: ignore[arg-type]
    for part in (found.top, found.counts, found.losses, found.heights, found.apart, found.steps):
        assert np.isnan(part).all()
    easy = solutions(f, theta[:1], theta[1:], **(OPTIONS | {"loss": 2.25, "lower": 1e-9, "most": 400}))  # type: ignore[arg-type]
    assert np.isfinite(easy.top).all()
    assert np.isnan(easy.heights[0, 0])
    assert np.isfinite(easy.heights[0, 1:]).all()
    assert module.LINES[0].startswith("full batch, then")


def test_the_study_compares_solutions_and_lines(tmp_path: Path) -> None:
    config, cells, summary = run_of("basins", widths=(8, 12), batches=(5,), loss=0.8, lower=0.3, most=1000, shown=5, eta=0.3, samples=40, depth=1)
    assert list(cells) == ["width 8", "width 12"]
    lines = {(line.cell, line.quantity): line.estimate for line in summary.lines}
    assert names((5,), 0.1) == ("B = 5", "full batch", "SAM, ρ = 0.1, B = 5")
    top = cells["width 8"]["log top"].mean
    ratio = lines["width 8, full batch", "λmax / that of B = 5"].value
    assert ratio == pytest.approx(math.exp(top[1, 0] - top[0, 0]))
    for name in LINES:
        assert lines[f"width 12, {name}", "barrier / ln c"].value >= 0
    assert {panel.title for panel in summary.panels} >= {"Loss on lines, width 8", "Eigenvalues of H at equal loss, width 12", "Barriers", "λmax at equal loss"}
    sheet = figure_of("basins", "basins", config, summary, tmp_path)
    assert [len(panel.series) for panel in sheet.panels] == [3, 3, 4, 4]


@pytest.mark.parametrize(
    ("values", "words"), [({"batches": (8, 4)}, "increasing"), ({"batches": (60,)}, "increasing"), ({"lower": 0.2, "loss": 0.1}, "not below")]
)
def test_what_cannot_be_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_of("basins", **({"batches": (4,)} | values))
