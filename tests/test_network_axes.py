"""What changes in the network study: problems and sizes, cells on its axes, the pilot that says how many paths are needed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgdsde.data import Data
from sgdsde.measurements.network_problems import STARTS, Kind, Problem, parameters, problem, start
from sgdsde.measurements.network_study import paths_needed, pilot
from sgdsde.runs import Moments, Study, StudyConfig
from sgdsde.runs.config import resolve
from sgdsde.runs.listing import load
from sgdsde.types import InputError

ROOT = Path(__file__).parents[1]
SHALLOW = Kind("digits", "", 40, 20, "shallow", 3, 1, 0, "float64")
KINDS = {
    "shallow": (SHALLOW, 18),
    "wide": (replace(SHALLOW, width=10), 60),
    "teacher": (replace(SHALLOW, data="teacher"), 18),
    "teacher's perceptron": (replace(SHALLOW, data="teacher", network="perceptron", width=5), 5 * 21 + 12),
    "deep": (replace(SHALLOW, network="perceptron", components=4, depth=2), 15 + 12 + 8),
    "pixels": (replace(SHALLOW, network="perceptron", width=7, depth=2), 65 * 7 + 56 + 80),
    "small convolution": (replace(SHALLOW, network="convolution", width=2), 34 + 6),
    "convolution": (replace(SHALLOW, network="convolution", width=6), 6 * 17 + 70),
}


@pytest.mark.parametrize("name", KINDS)
def test_problems_have_the_size_that_is_known_before_they_are_built(name: str) -> None:
    kind, size = KINDS[name]
    task = problem(kind)
    assert task.objective.dim == parameters(kind) == size
    theta = task.fresh(0, 3)
    assert theta.shape == (3, size)
    assert torch.equal(theta, task.fresh(0, 3))
    assert not torch.equal(theta, task.fresh(1, 3))
    assert task.answer(theta, task.inputs).shape[:2] == (3, 20)
    assert bool(torch.isfinite(task.objective.loss(theta)).all())


def test_problems_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="at most 64"):
        problem(replace(SHALLOW, width=11))
    with pytest.raises(InputError, match="no pixels"):
        problem(replace(SHALLOW, data="teacher", network="convolution"))
    with pytest.raises(InputError, match="no pixels"):
        problem(replace(SHALLOW, components=4, network="convolution"))


def written(folder: Path, data: str, count: int) -> None:
    """Files in the published formats with random pixels."""
    rng = np.random.default_rng(0)
    if data == "cifar10":
        records = rng.integers(0, 256, (count, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (folder / "data_batch_1.bin").write_bytes(records.tobytes())
        return
    images, labels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count, dtype=np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes())


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist", "cifar10"])
@pytest.mark.parametrize("network", ["shallow", "perceptron", "convolution"])
def test_local_files_serve_every_network_by_one_flag(tmp_path: Path, data: str, network: str) -> None:
    written(tmp_path, data, 45)
    kind = replace(SHALLOW, data=data, folder=str(tmp_path), samples=30, held_out=15, network=network, width=4)
    task = problem(kind)
    assert task.objective.dim == parameters(kind)
    assert task.objective.n == 30
    assert len(task.labels) == 15
    assert bool(torch.isfinite(task.objective.loss(task.fresh(0, 2))).all())


@pytest.mark.parametrize(
    ("data", "name", "damage", "words"),
    [
        ("mnist", "train-images-idx3-ubyte", lambda content: content[:-5], "truncated"),
        ("mnist", "train-labels-idx1-ubyte", lambda content: content[:6], "truncated"),
        ("fashion-mnist", "train-images-idx3-ubyte", lambda content: b"\x80\x04\x95" + content[3:], "begins with"),
        ("cifar10", "data_batch_1.bin", lambda content: content[:-1], "no whole number of records"),
        ("cifar10", "data_batch_1.bin", lambda content: b"\xff" + content[1:], "labels outside the classes"),
    ],
)
def test_damaged_files_are_refused_in_words(tmp_path: Path, data: str, name: str, damage: Callable[[bytes], bytes], words: str) -> None:
    written(tmp_path, data, 45)
    file = tmp_path / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=words):
        problem(replace(SHALLOW, data=data, folder=str(tmp_path), samples=30, held_out=15, network="perceptron"))


class Exploding:
    """Unpickling this would be noticed."""

    def __reduce__(self) -> tuple:
        return (pytest.fail, ("a file was unpickled",))


def test_pickled_cifar_is_refused_and_never_opened(tmp_path: Path) -> None:
    import pickle

    content = pickle.dumps(Exploding())
    kind = replace(SHALLOW, data="cifar10", folder=str(tmp_path), samples=30, held_out=15, network="perceptron")
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(InputError, match="pickled"):
        problem(kind)
    (tmp_path / "data_batch_1.bin").write_bytes(content)  # under the name of the binary version
    with pytest.raises(InputError, match="records"):
        problem(kind)


def study() -> Study[StudyConfig]:
    return load("network-comparison", ROOT / "experiments")


def test_a_tiny_run_has_every_cell_and_says_how_many_paths_it_needs() -> None:
    """All cells of a run with six paths: the summary draws every axis, and the pilot's note comes first."""
    s = study()
    changes = {
        "paths": 6,
        "block_paths": 6,
        "samples": 30,
        "held_out": 10,
        "x": (0.4,),
        "starts": ("mid-training",),
        "models": ("SPF", "HASME"),
        "saves": (1, 2),
    }
    config = replace(s.config(), **changes, substeps=1, marks=(1, 2), batches=(1, 4), widths=(2, 3), depths=(1, 2), problems=("teacher",), pilot=6, descent=20)
    s.check(config)
    cells = s.cells(config)
    assert cells[0] == "pilot"
    with torch.no_grad():
        blocks = {cell: s.block(config, cell, paths=6, seed=i) for i, cell in enumerate(cells)}
    summary = s.summary(config, blocks)
    assert summary.notes[0].startswith("Paths that tell the error of HA-SME in tr Cov from that of SPF")
    titles = " ".join(panel.title for panel in summary.panels)
    for axis in ("batch size B", "width", "hidden layers"):
        assert f"against {axis}, x = 0.4" in titles
    assert any(line.cell == "mid-training x=0.4 problem=teacher" for line in summary.lines)


def test_sizes_on_the_axes_are_those_of_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of a cell gets the batch size and network that its label names; a mutant label names another."""
    from sgdsde.measurements import network_study

    s = study()
    config = replace(s.config(), samples=30, held_out=10, x=(0.4,), descent=5)
    seen: list[tuple[int, int, tuple[str, ...]]] = []

    def noted(task: Problem, anchor: torch.Tensor, **options: Any) -> dict[str, Moments]:
        seen.append((task.objective.dim, options["batch"], options["models"]))
        return {}

    monkeypatch.setattr(network_study, "block", noted)
    for cell in ("mid-training x=0.4 B=16", "mid-training x=0.4 width=10", "mid-training x=0.4 depth=3", "mid-training x=0.4"):
        s.block(config, cell, paths=2, seed=0)
    assert [part[:2] for part in seen] == [(18, 16), (60, 1), (15 + 12 + 12 + 8, 1), (18, 1)]
    assert "SME3" in seen[0][2]
    assert "SME3" not in seen[2][2]


def test_the_pilot_counts_paths_as_normal_theory_does() -> None:
    """Errors −3 ± 1 and −2 ± 1 with correlation .75: the gap 1 has deviation √(2 − 1.5) = .71, so (1.96 + 1.28)²·.5 = 5.25 paths; opposite signs take the
    sum's, which is larger. 40,000 samples: 2 % is three standard errors. The mutant is the sum's deviation for errors of one sign, 7 times as many.
    """
    rng = np.random.default_rng(3)
    common = rng.standard_normal((40_000, 1)) * 0.75**0.5
    a, b = (-m + common[:, 0] + 0.5 * rng.standard_normal(40_000) for m in (3.0, 2.0))
    n, most = paths_needed(Moments.of(np.stack([a, b, a - b, a + b], 1)))
    assert n == pytest.approx((1.96 + 1.2816) ** 2 * 0.5, rel=0.03)
    assert n < most < 1.1 * n
    other, _ = paths_needed(Moments.of(np.stack([a, -b, a + b, a - b], 1)))
    assert other == pytest.approx(n, rel=1e-9)
    mutant = (1.96 + 1.2816) ** 2 * 3.5
    assert n < mutant / 5
    unknown = paths_needed(Moments.of(np.stack([a, a + 0.001 * b, -0.001 * b, 2 * a], 1)[:20] + rng.standard_normal((20, 4))))
    assert unknown[1] == float("inf")


def test_a_pilot_pairs_its_models() -> None:
    task = problem(SHALLOW)
    anchor = start(task, "mid-training", seed=0, steps=20, device="cpu")
    with torch.no_grad():
        found = pilot(task, anchor, eta=0.5, batch=1, pair=("SPF", "SPF"), steps=2, substeps=1, paths=8, seed=1, functions="krylov")
    np.testing.assert_allclose(found.mean[2], 0, atol=1e-14)  # the same model twice on the same increments
    np.testing.assert_allclose(found.mean[0], found.mean[1])


@pytest.mark.parametrize("count", [12, 40])
def test_principal_components_are_the_same_either_way(count: int) -> None:
    """Fewer samples than features take the singular vectors: the same axes as the eigenvectors of the second moments, signs included."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 20, generator=generator, dtype=torch.float64) * torch.linspace(3, 0.1, 20, dtype=torch.float64)
    projected = Data(x, torch.zeros(count, dtype=torch.long), 2, "x", "").projected(3).x
    centred = x - x.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :3]
    torch.testing.assert_close(projected.abs(), (centred @ axes).abs())
    largest = torch.linalg.lstsq(centred, projected).solution  # the axes, up to what the samples do not span
    assert bool((largest.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all())


def test_the_profile_for_a_gpu_runs_at_tiny_size(tmp_path: Path) -> None:
    """Its own models, functions, precision and axes, on files in MNIST's format, two paths on the CPU."""
    written(tmp_path, "mnist", 45)
    s = study()
    tiny = {"folder": str(tmp_path), "device": "cpu", "samples": 30, "held_out": 15, "width": 2, "paths": 2, "block_paths": 2, "descent": 3, "pilot": 2}
    tiny |= {"starts": ("mid-training",), "x": (0.3,), "saves": (1,), "batches": (), "widths": (), "depths": (2,), "substeps": 1}
    config = resolve(s.config, [("paper", s.profiles["paper"]), ("tiny", tiny)])
    s.check(config)
    cells = s.cells(config)
    assert cells == ["pilot", "mid-training x=0.3", "mid-training x=0.3 depth=2"]
    with torch.no_grad():
        blocks = {cell: s.block(config, cell, paths=2, seed=i) for i, cell in enumerate(cells)}
    assert all(np.isfinite(part.mean).all() for parts in blocks.values() for part in parts.values())
    assert s.summary(config, blocks).notes[0].startswith("Paths that tell the error of HA-SME, product in tr Cov from that of SPF")


def test_axes_may_be_left_out() -> None:
    s = study()
    config = resolve(s.config, [("typed", {"batches": "none", "widths": "none", "depths": "none", "problems": "none", "pilot": "0", "x": "0.3"})])
    assert s.cells(config) == [*(f"{start} x=0.3" for start in STARTS), "positivity"]
