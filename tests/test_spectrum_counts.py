"""Bulk and outliers against dense matrices and spectra known by hand; the study of sizes on a few digits; classifiers and random labels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from curvature_studies import figure_of, run_of, small
from torch import nn

from sgdsde.calculus import hessian, sample_grads
from sgdsde.curvature import RatioRule, gauss_newton_operator
from sgdsde.measurements import spectrum_counts
from sgdsde.measurements.classifiers import ClassifierConfig, data_of, module_of, network_of, normalised_of, starts, with_random_labels
from sgdsde.measurements.spectrum_counts import EDGES, binned, gradient_spectrum, spectrum
from sgdsde.plots import Panel, Series
from sgdsde.training import SGD, train
from sgdsde.types import InputError


def test_bulk_and_outliers_are_those_of_dense_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    _, f = small()
    theta = train(f, starts(f, 1, 1), optimiser=SGD(0.2), batch_size=6, steps=200, seed=1).final[0]
    found = spectrum(f, theta, shown=12, seed=0)
    H = torch.linalg.eigvalsh(hessian(f, theta[None])[0]).numpy()
    G = torch.linalg.eigvalsh(gauss_newton_operator(f, theta).dense()).flip(0).numpy()
    np.testing.assert_allclose(found.top, G[:12], rtol=1e-6)
    assert found.numbers["λmax"] == pytest.approx(H[-1])
    assert found.numbers["−λmin/λmax"] == pytest.approx(-H[0] / H[-1])
    assert found.numbers["near zero"] == pytest.approx(np.mean(np.abs(H) < 1e-3 * H[-1]))
    assert found.numbers["largest ratio"] == RatioRule(most=11).split(G[:12]).count
    assert found.numbers["above a tenth"] == (0.1 * G[0] < G).sum()
    assert found.density.sum() == pytest.approx(1)
    seen = np.abs(H) > 10 ** EDGES[4] * H[-1]  # the sign of what is zero to rounding is chance
    assert found.density[0, 4:].sum() == pytest.approx(np.mean(seen & (H > 0)))
    assert found.density[1, 4:].sum() == pytest.approx(np.mean(seen & (H < 0)))
    monkeypatch.setattr(spectrum_counts, "DENSE_DIM", 10)  # Lanczos: the ends to rounding, shares within .1
    free = spectrum(f, theta, shown=12, seed=0)
    assert free.numbers["λmax"] == pytest.approx(H[-1])
    assert free.numbers["−λmin/λmax"] == pytest.approx(-H[0] / H[-1], rel=1e-5)
    assert free.numbers["near zero"] == pytest.approx(found.numbers["near zero"], abs=0.1)


@pytest.mark.parametrize("samples", [40, 60])
def test_the_spectrum_of_gradients_from_either_side(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From gᵢᵀgⱼ/n where n < dim, from M where not; in pieces too."""
    _, f = small(samples=samples, width=1, depth=1) if samples == 60 else small(samples=samples)
    theta = starts(f, 5, 1)[0]
    g = sample_grads(f, theta[None])[0]
    wanted = torch.linalg.eigvalsh(g.T @ g / f.n).flip(0)[: min(f.n, f.dim)]
    monkeypatch.setattr(spectrum_counts, "_ELEMENTS", 7 * f.dim)
    np.testing.assert_allclose(gradient_spectrum(f, theta), wanted.clamp(min=0).numpy(), atol=1e-12)


def test_eigenvalues_are_counted_in_the_bin_of_their_size() -> None:
    counts = binned(np.array([1.0, 0.5, 0.0, -0.2, 1e-12]), np.full(5, 0.2))
    assert counts.sum() == pytest.approx(1)
    assert counts[0, -1] == pytest.approx(0.2)
    assert counts[0, 0] == pytest.approx(0.4)
    assert counts[1, np.searchsorted(EDGES, np.log10(0.2)) - 1] == pytest.approx(0.2)


def test_classifiers_have_the_layers_that_they_say() -> None:
    config = ClassifierConfig(samples=30, width=3, depth=2, model="cnn")
    data = data_of(config)
    kinds = [type(part) for part in module_of(config, data, norm=True)]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d] * 2 + [nn.Flatten, nn.Linear]
    assert normalised_of(config, data).mode.count("BatchNorm") == 2
    deep = [part.out_features for part in module_of(ClassifierConfig(samples=30), data, width=7, depth=3) if isinstance(part, nn.Linear)]
    assert deep == [7, 7, 7, 10]
    assert data_of(config, classes=3).classes == 3
    assert float(data_of(config, standardize=True).x.mean()) == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="pooled away"):
        module_of(config, data, depth=4)
    with pytest.raises(InputError, match="digits has 1,797"):
        run_of("size-and-classes", samples=2000)


@pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 28, 28)), ("fashion-mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_local_files_by_one_flag(name: Literal["mnist", "fashion-mnist", "cifar10"], shape: tuple[int, ...], tmp_path: Path) -> None:
    """Files in the binary formats, 50 samples: read, trained on by perceptron and convolutions, and looked at."""
    rng = np.random.default_rng(1)
    pixels, labels = rng.integers(0, 256, (50, int(np.prod(shape))), dtype=np.uint8), np.arange(50, dtype=np.uint8) % 10
    if name == "cifar10":
        for number, rows in enumerate(np.split(np.hstack([labels[:, None], pixels]), 5), 1):
            (tmp_path / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
    else:
        (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 50, 28, 28) + pixels.tobytes())
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 50) + labels.tobytes())
    models: tuple[Literal["mlp", "cnn"], ...] = ("mlp", "cnn")
    for model in models:
        config = ClassifierConfig(data=name, folder=str(tmp_path), samples=20, model=model, width=2, depth=1, precision="float32")
        f = network_of(config, data_of(config))
        assert tuple(f.inputs.original.shape) == (20, *(shape if model == "cnn" else (int(np.prod(shape)),)))
        final = train(f, starts(f, 1, 1), optimiser=SGD(0.1), batch_size=5, steps=3, seed=1).final
        assert final.dtype == torch.float32
        assert float(f.loss(final)) < 5
    assert data_of(config, classes=3).y.max() == 2


def test_labels_are_redrawn_in_the_share_that_is_asked_for() -> None:
    """1,797 digits, share .5: .45 of the labels change; the count is within .06 of it (5 standard deviations)."""
    data = data_of(ClassifierConfig(samples=1797))
    changed = float((with_random_labels(data, 0.5, 3).y != data.y).double().mean())
    assert abs(changed - 0.45) < 0.06
    assert torch.equal(with_random_labels(data, 0.5, 3).y, with_random_labels(data, 0.5, 3).y)
    assert not torch.equal(with_random_labels(data, 0.5, 3).y, with_random_labels(data, 0.5, 4).y)
    assert torch.equal(with_random_labels(data, 0.0, 3).y, data.y)


def test_the_study_counts_in_every_cell(tmp_path: Path) -> None:
    config, cells, summary = run_of("size-and-classes", batch=6, widths=(5, 6), depths=(1,), classes=(2, 4), labels=(0.5,), loss=1.5, shown=8, most=3000)
    assert list(cells) == ["width 5", "width 6", "depth 1", "classes 2", "classes 4", "labels 0.5"]
    lines = {(line.cell, line.quantity): line.estimate for line in summary.lines}
    assert lines["width 6", "parameters"].value == 64 * 6 + 6 + 6 * 6 + 6 + 6 * 10 + 10
    assert lines["classes 4", "loss"].value <= 1.5
    assert 1 <= lines["width 5", "outliers, largest ratio"].value <= 7
    assert len({panel.title for panel in summary.panels}) == 20
    rank = np.arange(1.0, 21)
    random = Panel("E[M]", "rank", "λ", tuple(Series(f"{m}", f"width {m}", rank, 1 / rank) for m in (50, 200, 800)))
    sheet = figure_of("size-and-classes", "size-and-classes", config, summary, tmp_path, {"gap-and-width": [random]})
    assert [len(panel.series) for panel in sheet.panels] == [4, 2, 1, 2, 2, 3]
    _, lost, told = run_of("size-and-classes", batch=6, widths=(3,), depths=(1,), classes=(2,), labels=(0.0,), loss=1e-6, shown=8, most=10)
    assert int(lost["width 3"]["λmax"].lost) == config.paths
    assert any("did not reach loss" in note for note in told.notes)
