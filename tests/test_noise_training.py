"""Noise against curvature along training, held against dense matrices and against the redraws themselves; the study on a few digits."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from curvature_studies import figure_of, run_of, small

from sgdsde.calculus import hessian, sample_grads
from sgdsde.curvature import gauss_newton_operator
from sgdsde.measurements import noise_training
from sgdsde.measurements.classifiers import starts
from sgdsde.measurements.noise_training import POINT, STEP, along_training, at_point, moments_of_gradients
from sgdsde.training import SGD, LossDifferences, train
from sgdsde.types import InputError


def test_the_numbers_of_a_point_are_those_of_dense_matrices() -> None:
    _, f = small()
    theta = train(f, starts(f, 1, 1), optimiser=SGD(0.2), batch_size=6, steps=60, seed=1).final[0]
    found, cosines, law = at_point(f, theta, eta=0.2, batch=6, top=4, vectors=8, seed=0)
    H, g = hessian(f, theta[None])[0], sample_grads(f, theta[None])[0]
    mu = g.mean(0)
    G, M = gauss_newton_operator(f, theta).dense(), g.T @ g / f.n
    Sigma = M - torch.outer(mu, mu)
    assert found["tr M/tr H"] == pytest.approx(float(M.trace() / H.trace()))
    assert found["tr Σ/tr H"] == pytest.approx(float(Sigma.trace() / H.trace()))
    assert found["tr(HΣ)"] == pytest.approx(float((H @ Sigma).trace()))
    assert found["cosine of Σ and G"] == pytest.approx(float((G * Sigma).sum() / (G.norm() * Sigma.norm())))
    U, V = (torch.linalg.eigh(part).eigenvectors[:, -4:] for part in (H, Sigma))
    assert found["overlap of Σ and H"] == pytest.approx(float((U.T @ V).norm() ** 2 / 4), rel=1e-6)
    np.testing.assert_allclose(cosines, torch.linalg.svdvals(U.T @ V).numpy(), atol=1e-6)
    assert found["overlap by chance"] == 4 / f.dim
    inside = (Sigma.diagonal() > 1e-12 * Sigma.diagonal().max()) & (G.diagonal() > 1e-12 * G.diagonal().max())
    slope = np.polyfit(G.diagonal()[inside].log().numpy(), Sigma.diagonal()[inside].log().numpy(), 1)[0]
    assert found["γ"] == pytest.approx(slope, rel=1e-6)
    noise = 0.02 * float((H @ Sigma).trace()) * (f.n - 6) / ((f.n - 1) * 6)
    assert law[0] - law[1] == pytest.approx(noise)
    assert law[1] == pytest.approx(-0.2 * float(mu @ mu) + 0.02 * float(mu @ H @ mu))


@pytest.mark.parametrize("batch", [1, 2, 19])
def test_the_laws_noise_is_that_of_all_batches(batch: int) -> None:
    """Without Monte Carlo: all batches of 1, 2 and 19 out of 20. Mean of f(θ − ηĝ) less f(θ − ημ) against (η²/2)·(n−B)/((n−1)B)·tr(HΣ); 1/B² for 1/B fails."""
    _, f = small(samples=20)
    theta = train(f, starts(f, 2, 1), optimiser=SGD(0.2), batch_size=4, steps=120, seed=1).final[0]
    _, _, law = at_point(f, theta, eta=2e-3, batch=batch, top=2, vectors=4, seed=0)
    g = sample_grads(f, theta[None])[0]
    steps = torch.stack([g[list(chosen)].mean(0) for chosen in combinations(range(20), batch)])
    change = float((f.loss(theta - 2e-3 * steps).mean() - f.loss((theta - 2e-3 * g.mean(0))[None])).squeeze())
    assert change == pytest.approx(law[0] - law[1], rel=0.02)
    if batch > 1:
        assert change != pytest.approx((law[0] - law[1]) / batch, rel=0.3)
        assert change != pytest.approx((law[0] - law[1]) * 19 / (20 - batch), rel=0.02)  # mutant: with replacement


def test_along_training_redraws_are_summed_up_beside_their_law() -> None:
    """2,000 redraws: (mean − law) lies within 5 standard errors (false alarm 6e-7), which are 2 % of the law's terms."""
    _, f = small()
    warm = train(f, starts(f, 2, 1), optimiser=SGD(0.2), batch_size=4, steps=120, seed=1).final
    found = along_training(f, warm, eta=0.005, batch=2, steps=(0, 2), top=2, vectors=4, redraws=2000, seed=3)
    row = dict(zip(STEP, found.step[0, 0], strict=True))
    delta = train(f, warm, optimiser=SGD(0.005), batch_size=2, steps=2, seed=3, at=(0,), record={"Δ": LossDifferences(2000)}).recorded["Δ"].values[0, 0]
    _, _, law = at_point(f, warm[0], eta=0.005, batch=2, top=2, vectors=4, seed=3)
    assert row["mean"] == pytest.approx(float(delta.mean()) / law[2])
    assert row["miss"] == pytest.approx(row["mean"] - row["law"])
    assert abs(row["miss"]) < 5 * float(delta.std()) / 2000**0.5 / law[2] < 0.15
    assert row["rises"] == pytest.approx(float((delta > 0).double().mean()))
    assert row["median"] == pytest.approx(float(delta.median()) / law[2], rel=0.02)
    assert row["5 %"] < row["median"] < row["95 %"]


def test_estimates_without_matrices_agree_with_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 random vectors against matrices: traces within 15 %, the slope within .05, eigenspaces to rounding."""
    _, f = small()
    theta = train(f, starts(f, 3, 1), optimiser=SGD(0.2), batch_size=6, steps=60, seed=1).final[0]
    exact = at_point(f, theta, eta=0.2, batch=6, top=3, vectors=1000, seed=1)[0]
    monkeypatch.setattr(noise_training, "DENSE_DIM", 10)
    free = at_point(f, theta, eta=0.2, batch=6, top=3, vectors=1000, seed=1)[0]
    for name in POINT:
        assert free[name] == pytest.approx(exact[name], rel=1e-5 if "overlap" in name else 0.15), name
    assert abs(free["γ"] - exact["γ"]) < 0.05
    monkeypatch.setattr(noise_training, "_ELEMENTS", 5 * f.dim)  # in pieces of five samples
    torch.testing.assert_close(moments_of_gradients(f, theta)[1], (sample_grads(f, theta[None])[0] ** 2).mean(0))


def test_paths_that_diverge_are_missing_numbers() -> None:
    _, f = small()
    start = starts(f, 4, 2)
    start[1] *= 1e200  # finite, its loss is not
    found = along_training(f, start, eta=0.1, batch=6, steps=(0, 4), top=2, vectors=4, redraws=20, seed=1)
    assert np.isfinite(found.point[0]).all()
    assert np.isnan(found.point[1]).all()
    assert np.isnan(found.step[1]).all()


def test_the_study_reports_every_checkpoint(tmp_path: Path) -> None:
    config, cells, summary = run_of("noise-and-curvature", batches=(4, 20), steps=(0, 10, 40), top=3, redraws=30)
    assert list(cells) == ["B = 4", "B = 20"]
    lines = {(line.cell, line.quantity): line.estimate for line in summary.lines}
    for step in config.steps:
        assert lines[f"B = 4, step {step}", "tr M/tr H"].value > 0
    assert lines["B = 4, step 0", "loss"].value == pytest.approx(lines["B = 20, step 0", "loss"].value, rel=0.2)
    assert -1 <= lines["B = 20, steps to 40", "mean cosine of consecutive steps"].value <= 1
    titles = [panel.title for panel in summary.panels]
    assert len(set(titles)) == len(titles)
    assert {"tr M/tr H against the loss", "Angle between consecutive steps", "Loss difference of the next step, B = 4"} <= set(titles)
    sheet = figure_of("noise-and-curvature", "noise-and-curvature", config, summary, tmp_path)
    assert [len(panel.series) for panel in sheet.panels] == [2, 3, 2, 4, 2, 2]
    assert "60 samples" in sheet.caption


@pytest.mark.parametrize(
    ("values", "words"),
    [({"steps": (10, 0)}, "must increase"), ({"steps": (0, 1)}, "two steps apart"), ({"batches": (100,)}, "exceeds samples"), ({"data": "mnist"}, "folder")],
)
def test_what_cannot_be_is_refused_before_any_work(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_of("noise-and-curvature", **({"batches": (4,)} | values))
