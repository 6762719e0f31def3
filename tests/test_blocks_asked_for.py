"""A block that brings fewer or more paths than it was asked for is refused, by name; one that counts something else says so in its study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curvature_studies import SMALL
from escape_studies import TINY
from test_bad_studies import run

from sgdsde.runs import Histogram, Moments
from sgdsde.runs.asked import refuse_other_counts
from sgdsde.runs.command import Exit
from sgdsde.runs.config import plain, resolve, settings
from sgdsde.runs.identity import code_digest
from sgdsde.runs.job import StudyJob, run_study_job
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.runs.study import layout_of
from sgdsde.scripts import scripts
from sgdsde.types import InputError

EDGES = np.linspace(-5.0, 5.0, 11)
DRAWN = np.random.default_rng(0).normal(size=64)


def judged(reducers: dict[str, Moments | Histogram], wanted: int, paths: int = 8) -> None:
    refuse_other_counts(reducers, dict.fromkeys(reducers, wanted), place="own, cell 'a', block 3", paths=paths)


@pytest.mark.parametrize(
    "block", ['{"end": Moments.of(np.ones(paths - 1))}', '{"end": Moments.of(np.ones(paths + 3))}', '{"end": ends, "all": ends.merge(ends)}']
)
def test_a_block_of_other_size_stops_the_run_and_nothing_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str], block: str) -> None:
    """At 10 paths in blocks of 4 the three blocks of a cell are asked for 4, 4 and 2."""
    assert run(tmp_path, {"BLOCK": block}) == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert "own, cell 'a', block 2: " in said
    assert "asked for were 2 paths" in said
    assert "attempt(s): InputError" in said
    assert "once more in" not in said  # it is not tried again
    assert not list(tmp_path.rglob("*.safetensors"))


def test_only_the_wrong_block_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, {"BLOCK": '{"end": ends if paths == 4 else Moments.of(np.ones(1))}'}) == Exit.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert "own, cell 'b', block 2: 'end' holds 1 samples, asked for were 2 paths. Return every path" in said
    assert "block 0:" not in said
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4


def test_a_block_with_nothing_in_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, {"BLOCK": "{}"}) == Exit.FAILED
    assert "came nothing for 4 paths asked for" in " ".join(capsys.readouterr().err.split())


def test_lost_paths_are_there_and_missing_entries_are_not() -> None:
    judged({"x": Moments.of(np.where(np.arange(8) < 5, np.nan, 1.0))}, 8)
    whole = Moments.of(np.ones((8, 2)))
    with pytest.raises(InputError, match="'x' holds 7 to 8 samples, asked for were 8 paths"):
        judged({"x": Moments(whole.count - np.array([0, 1]), whole.lost, whole.mean, whole.m2, whole.m3, whole.m4)}, 8)


@pytest.mark.parametrize(("count", "right"), [(8, True), (16, True), (7, False), (12, False), (0, False)])
def test_a_histogram_may_count_several_values_a_path(count: int, right: bool) -> None:
    histogram = Histogram.of(DRAWN[:count], EDGES)
    if right:
        judged({"x": histogram}, 8)
    else:
        with pytest.raises(InputError, match=rf"'x' holds {count} samples"):
            judged({"x": histogram}, 8)


def test_a_study_says_what_else_it_counts() -> None:
    judged({"x": Moments.of(np.ones(2))}, 2)
    with pytest.raises(InputError, match=r"'x' holds 8 samples, asked for were 8 paths \(Study.samples wants 2 of this reducer\)"):
        judged({"x": Moments.of(np.ones(8))}, 2)
    with pytest.raises(InputError, match=r"Study.samples says 0 of 'x'; wanted how many samples"):
        judged({"x": Moments.of(np.ones(8))}, 0)


#: the studies whose blocks cost little: settings that make them so, cells (none: the first and the last), paths
CHEAP: dict[str, tuple[dict[str, object], tuple[str, ...], int]] = {
    "atlas-map": ({"x": (0.4, 0.6)}, ("alpha=0.0 sigma=0.4",), 5),
    "cost-to-accuracy": ({}, ("double well: independent", "double well: coupled"), 1030),
    "escape-barrier": ({}, ("eta=0.2 SGD",), 8),
    "escape-dimension": ({}, ("d=2 SGD",), 8),
    "escape-monitors": ({}, (), 5),
    "escape-paths": ({}, (), 5),
    "escape-saddles": ({}, (), 5),
    "escape-survival": (TINY["escape-survival"], (), 5),
    "planar-densities": ({}, (), 5),
    "stationary-variance": ({}, (), 5),
    "weak-error": ({}, (), 5),
}


@pytest.mark.parametrize("name", CHEAP)
def test_a_study_that_ships_brings_what_it_was_asked_for(name: str) -> None:
    """Two cells at most of each, far from the size of a profile; those that train networks are run whole by their own tests."""
    values, cells, paths = CHEAP[name]
    carried(name, values, cells, paths)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(scripts(folder_of_studies())) - set(CHEAP)))
def test_a_study_that_trains_brings_what_it_was_asked_for(name: str) -> None:
    known = settings(load(name, folder_of_studies()).config)
    carried(name, {key: value for key, value in (SMALL | {"samples": 200}).items() if key in known}, (), 3)


def carried(name: str, values: dict[str, object], cells: tuple[str, ...], paths: int) -> None:
    study = load(name, folder_of_studies())
    config = resolve(study.config, [("quick", study.profiles.get("quick", {})), ("test", values)])
    everywhere = layout_of(study, config).cells
    code = code_digest(scripts(folder_of_studies())[name])
    for cell in cells or (everywhere[0], everywhere[-1]):
        run_study_job(StudyJob(str(folder_of_studies()), name, plain(config), code, cell, 0, paths, 1))
