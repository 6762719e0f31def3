"""Data: scikit-learn's digits, and what no set of data may be."""

from __future__ import annotations

import math

import pytest
import torch

from sgdsde import data
from sgdsde.data import Data
from sgdsde.types import InputError


def test_digits_are_the_known_ones() -> None:
    """Pixel sums and class counts as the UCI repository's optical digits (test part) have them."""
    d = data.digits()
    assert d.x.shape == (1797, 64)
    assert d.x.dtype == torch.float64
    assert (float(d.x.min()), float(d.x.max())) == (0.0, 1.0)
    assert torch.bincount(d.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert d.classes == 10
    assert d.images().shape == (1797, 1, 8, 8)
    assert torch.equal(d.images()[5].flatten(), d.x[5])


def test_digits_of_some_classes_are_relabelled_in_the_order_given() -> None:
    every, two = data.digits(), data.digits(classes=(8, 3))
    assert len(two) == 174 + 183
    assert two.classes == 2
    kept = (every.y == 8) | (every.y == 3)
    assert torch.equal(two.x, every.x[kept])
    assert torch.equal(two.y, (every.y[kept] == 3).long())
    assert data.digits(classes=3).y.unique().tolist() == [0, 1, 2]
    assert len(data.digits(classes=(1, 2), count=30)) == 30
    assert "classes [8, 3]" in two.name
    assert two.digest == every.digest


def test_digits_against_the_rest() -> None:
    odd = data.digits().against((1, 3, 5, 7, 9))
    assert torch.equal(odd.y, data.digits().y % 2)
    assert odd.classes == 2


def test_principal_components_are_those_of_the_singular_value_decomposition() -> None:
    d, k = data.digits(), 5
    projected = data.digits(components=k)
    _, sigma, axes = torch.linalg.svd(d.x - d.x.mean(0), full_matrices=False)
    torch.testing.assert_close(projected.x.norm(dim=0), sigma[:k], rtol=1e-10, atol=0)
    torch.testing.assert_close(projected.x.abs(), ((d.x - d.x.mean(0)) @ axes[:k].T).abs(), rtol=1e-8, atol=1e-9)
    assert float(projected.x.mean(0).abs().max()) < 1e-12
    assert projected.shape == ()
    assert "5 principal components" in projected.name


def test_standardized_features_have_unit_variance_and_constant_ones_vanish() -> None:
    d = data.digits(standardize=True)
    assert float(d.x.mean(0).abs().max()) < 1e-12
    variance = d.x.square().mean(0)
    constant = data.digits().x.std(0) == 0
    assert int(constant.sum()) == 3  # three pixels at the edge are never touched
    torch.testing.assert_close(variance, (~constant).double(), rtol=1e-12, atol=1e-12)
    both = data.digits(standardize=True, components=2)
    torch.testing.assert_close(both.x.norm(dim=0), torch.linalg.svdvals(d.x)[:2], rtol=1e-10, atol=0)


def test_altered_digits_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn import datasets

    source = datasets.load_digits()
    source.data[0, 0] += 1
    monkeypatch.setattr(datasets, "load_digits", lambda: source)
    with pytest.raises(InputError, match="digest"):
        data.digits()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"components": 65}, r"components = 65; wanted an integer in 1…64"),
        ({"components": 0}, "components = 0"),
        ({"classes": 1}, "classes = 1; wanted 2…10"),
        ({"classes": (3,)}, "wanted two or more"),
        ({"classes": (3, 3)}, "wanted different labels among 0…9"),
        ({"classes": (3, 11)}, "wanted different labels among 0…9"),
        ({"count": 1798}, "count = 1798; wanted an integer in 1…1797"),
        ({"count": 0}, "count = 0"),
    ],
)
def test_digits_refuse(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.digits(**settings)  # type: ignore[arg-type]


def test_no_class_or_every_class_cannot_stand_against_the_rest() -> None:
    for positive in ((), range(10)):
        with pytest.raises(InputError, match="not none and not all"):
            data.digits().against(positive)
    with pytest.raises(InputError, match="no classes to choose from"):
        data.linear_teacher(0).against((1,))
    with pytest.raises(InputError, match="its features are no pixels"):
        data.digits(components=3).images()


@pytest.mark.parametrize(
    ("x", "y", "classes", "words"),
    [
        (torch.ones(0, 2), torch.ones(0), None, "empty data"),
        (torch.ones(2, 2), torch.ones(3), None, "mismatched lengths: 2 samples"),
        (torch.full((2, 2), math.nan), torch.ones(2), None, "x holds NaN"),
        (torch.ones(2, 2), torch.tensor([0, 5]), 3, r"labels outside the classes: wanted integers 0…2, came 0 to 5"),
        (torch.ones(2, 2), torch.tensor([0.0, 1.0]), 2, "labels outside the classes"),
    ],
)
def test_data_refuse(x: torch.Tensor, y: torch.Tensor, classes: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Data(x, y, classes, "made up", "")
