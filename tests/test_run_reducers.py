"""Reducers: merged moments and histograms are those of all samples, lost paths are counted, and they come back from disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sgdsde as sg
from sgdsde.runs import Histogram, Moments
from sgdsde.runs.product import refuse_non_finite
from sgdsde.runs.reducers import from_tree
from sgdsde.store import decode, encode
from sgdsde.types import InputError

finite = st.floats(-1e3, 1e3)


@given(st.lists(st.lists(finite, min_size=1, max_size=6), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_merged_moments_are_those_of_all_samples(blocks: list[list[float]]) -> None:
    merged = Moments.of(blocks[0])
    for block in blocks[1:]:
        merged = merged.merge(Moments.of(block))
    x = np.concatenate([np.asarray(block) for block in blocks])
    scale = np.abs(x).max() + 1e-300
    assert merged.count == x.size
    assert merged.mean == pytest.approx(x.mean(), abs=1e-12 * scale)
    for power, found in ((2, merged.m2), (3, merged.m3), (4, merged.m4)):
        assert found == pytest.approx(((x - x.mean()) ** power).sum(), abs=1e-10 * x.size * scale**power)


def test_estimates_are_those_of_the_samples() -> None:
    x = np.random.default_rng(0).gamma(2.0, size=(5000, 2))
    merged = Moments.of(x[:1234]).merge(Moments.of(x[1234:]))
    mean, variance = merged.mean_estimate(), merged.variance_estimate()
    reference = sg.stats.variance_estimate(x)
    assert np.allclose(mean.value, x.mean(0), rtol=1e-13)
    assert np.allclose(mean.stderr, x.std(0, ddof=1) / 5000**0.5, rtol=1e-12)
    for name in ("value", "stderr", "low", "high"):
        assert np.allclose(getattr(variance, name), getattr(reference, name), rtol=1e-10)


def test_lost_paths_make_estimates_nan_and_are_counted() -> None:
    merged = Moments.of([[1.0, 1.0], [2.0, np.nan]]).merge(Moments.of([[3.0, 5.0], [4.0, np.inf]]))
    assert merged.lost.tolist() == [0, 2]
    assert merged.mean_estimate().value[0] == 2.5
    assert np.isnan(merged.mean_estimate().value[1])
    assert np.isnan(merged.variance_estimate().low[1])
    refuse_non_finite(merged.to_tree())  # what is stored is finite all the same
    assert np.isnan(Moments.of([1.0]).mean_estimate().value)  # one path has no error bar
    with pytest.raises(InputError, match="at least one path"):
        Moments.of([])


def test_histograms_count_everything_somewhere() -> None:
    x = np.array([-3.0, -1, 0, 0.5, 1, 2, np.nan, np.inf, -np.inf])
    merged = Histogram.of(x, [-1, 0, 1]).merge(Histogram.of(x, [-1, 0, 1]))
    assert (merged.counts.tolist(), merged.below, merged.above, merged.lost, merged.total) == ([2, 6], 2, 2, 6, 18)
    with pytest.raises(InputError, match="different edges"):
        merged.merge(Histogram.of(x, [-1, 1]))
    with pytest.raises(InputError, match="increasing"):
        Histogram.of(x, [1, 0])


def test_reducers_come_back_from_disk() -> None:
    for part in (Moments.of(np.arange(6.0).reshape(3, 2)), Histogram.of([0.5], [0, 1])):
        again = from_tree(decode(encode(part.to_tree())))
        assert encode(again.to_tree()) == encode(part.to_tree())
    for tree, words in (({"kind": "pickle"}, "wanted one of"), ({"kind": "moments", "x": 1}, "other fields"), (7, "wanted one of")):
        with pytest.raises(InputError, match=words):
            from_tree(tree)  # type: ignore[arg-type]
