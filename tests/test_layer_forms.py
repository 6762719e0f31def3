"""Layers beside their Kronecker forms and models beside each other, against dense blocks; the study of decoupling on a few digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from curvature_studies import SMALL, figure_of, run_of, small

from sgdsde.curvature import gauss_newton_operator, kronecker_decoupling, overlap, overlap_curve
from sgdsde.measurements.classifiers import ClassifierConfig, data_of, network_of, normalised_of, starts
from sgdsde.measurements.layer_forms import (
    FORM,
    at,
    forms_along,
    kronecker_top,
    layer_forms,
    layers_of,
    overlaps_of_models,
    sizes_of,
    top_space,
)
from sgdsde.rng import stream
from sgdsde.training import SGD, LossBelow, TrainingNetwork, train
from sgdsde.types import InputError


def test_a_layers_numbers_are_those_of_its_dense_block() -> None:
    _, f = small()
    theta = train(f, starts(f, 1, 1), optimiser=SGD(0.2), batch_size=6, steps=60, seed=1).final[0]
    found = layer_forms(f, theta, "2", classes=10, seed=0)
    start = 64 * 5 + 5
    block = gauss_newton_operator(f, theta).dense()[start : start + 25, start : start + 25]
    report = kronecker_decoupling(f, theta, "2")
    product = torch.kron(report.left, report.right)
    assert found["error"] == pytest.approx(float((block - product).norm() / block.norm()), rel=1e-6)
    assert found["best error"] <= found["error"]
    U, V = (torch.linalg.eigh(part).eigenvectors[:, -9:] for part in (block, product))
    assert found["overlap"] == pytest.approx(overlap(U, V).value, rel=1e-6)
    assert found["overlap by chance"] == 9 / 25
    shares = [torch.linalg.svdvals(column.reshape(5, 5)) ** 2 for column in U.T]
    assert found["rank-one share"] == pytest.approx(float(np.mean([float(s[0] / s.sum()) for s in shares])), rel=1e-6)
    assert 1 / 5 < found["rank-one share by chance"] < found["rank-one share"]


def test_top_eigenvectors_of_a_product_are_products() -> None:
    generator = stream(3, "factors")
    left, right = (a @ a.T for a in (torch.randn(n, n, generator=generator, dtype=torch.float64) for n in (4, 6)))
    wanted = torch.linalg.eigh(torch.kron(left, right)).eigenvectors[:, -5:]
    assert overlap(kronecker_top(left, right, 5), wanted).value == pytest.approx(1)
    assert overlap(kronecker_top(right, left, 5), wanted).value < 0.9  # mutant: the factors the wrong way round


def test_overlaps_of_the_first_k_are_those_of_the_subspaces() -> None:
    generator = stream(4, "spaces")
    U, V = (torch.linalg.qr(torch.randn(20, 7, generator=generator, dtype=torch.float64))[0] for _ in range(2))
    wanted = [overlap(U[:, :k], V[:, :k]).value for k in range(1, 8)]
    np.testing.assert_allclose(overlap_curve(U, V), wanted, rtol=1e-10)
    assert overlap_curve(U, U) == pytest.approx(1)


@pytest.mark.parametrize("norm", [False, True])
def test_models_are_compared_where_training_left_them(norm: bool) -> None:
    """Trained anew here; with BatchNorm the blocks are those of the networks frozen at their own statistics."""
    config = ClassifierConfig(**SMALL)
    data = data_of(config)
    network = normalised_of(config, data) if norm else network_of(config, data)
    theta = starts(network.frozen if isinstance(network, TrainingNetwork) else network, 5, 2)
    options = {"eta": 0.3, "batch": 10, "seed": 3}
    found = overlaps_of_models(network, theta, loss=0.8, most=3000, shown=8, **options)  # type: ignore[arg-type]
    assert [part.shape for part in found] == [(1, 8), (1, 8), (1, 8)]
    final = train(network, theta, optimiser=SGD(0.3), batch_size=10, steps=3000, seed=3, stop=LossBelow(level=0.8)).final
    module = at(network, final[0]).module
    assert sizes_of(module)[0] == (5, 320)
    for layer, part in zip(layers_of(module), found, strict=True):
        spaces = [top_space(at(network, point), point, layer, 8) for point in final]
        assert part[0, 4] == pytest.approx(overlap(spaces[0][:, :5], spaces[1][:, :5]).value, rel=1e-6)
    missing = overlaps_of_models(network, theta, loss=1e-9, most=20, shown=8, **options)  # type: ignore[arg-type]
    assert all(np.isnan(part).all() for part in missing)


def test_forms_along_training_hold_every_layer() -> None:
    config = ClassifierConfig(**(SMALL | {"model": "cnn", "width": 2, "depth": 1}))
    network = normalised_of(config, data_of(config))
    values = forms_along(network, starts(network.frozen, 1, 1), eta=0.1, batch=10, steps=(0, 20), classes=10, seed=1)
    assert values.shape == (1, 2, 2, len(FORM))
    assert np.isfinite(values).all()
    still = network.frozen_at(starts(network.frozen, 1, 1)[0])
    report = kronecker_decoupling(still, starts(network.frozen, 1, 1)[0], "0")
    assert values[0, 0, 0, FORM.index("error")] == pytest.approx(report.error)


def test_the_study_reports_layers_and_models(tmp_path: Path) -> None:
    config, cells, summary = run_of("decoupling", steps=(0, 40), batch=10, widths=(4, 6), loss=1.0, most=3000, shown=10, width=4)
    assert len(cells) == 3 + 4
    lines = {(line.cell, line.quantity): line.estimate for line in summary.lines}
    for kind in config.kinds:
        assert 0 < lines[f"{kind}, layer 2, step 40", "best error"].value <= lines[f"{kind}, layer 2, step 40", "error"].value
    assert lines["plain, width 6, layer 1", "chance at k = m"].value == 6 / (64 * 6)
    assert lines["BatchNorm, width 4, layer 3", "overlap at k = m"].n == config.paths
    titles = [panel.title for panel in summary.panels]
    assert len(set(titles)) == len(titles)
    assert "Two models, layer 1, BatchNorm" in titles
    layers = figure_of("decoupling", "decoupling", config, summary, tmp_path)
    assert [len(panel.series) for panel in layers.panels] == [3, 3, 3, 4, 4, 3]
    models = figure_of("overlap-of-models", "decoupling", config, summary, tmp_path)
    assert [len(panel.series) for panel in models.panels] == [4, 4, 3] * 2
    with pytest.raises(InputError, match="'plane' is unknown"):
        run_of("decoupling", kinds=("plane",))
