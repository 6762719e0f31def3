"""Studies of one's own that are wrong: refused in words, and never merged by halves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgdsde.runs import Moments, main_run
from sgdsde.runs.command import Exit
from sgdsde.types import InputError

STUDY = '''
from dataclasses import dataclass
import numpy as np
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions


@dataclass(frozen=True)
class Config(StudyConfig):
    paths: int = option(10, "paths", low=1)
    block_paths: int = option(4, "paths a block", low=1)


class Own(Study[Config]):
    """A study of one's own."""

    title, config, profiles = "own", Config, {"quick": {}}

    def cells(self, config):
        return CELLS

    def conventions(self, config):
        return Conventions()

    def block(self, config, cell, *, paths, seed):
        ends = Moments.of(np.random.default_rng(seed).normal(size=paths))
        return BLOCK

    def summary(self, config, cells):
        return SUMMARY


STUDY = Own()
'''
RIGHT = {"CELLS": '["a", "b"]', "BLOCK": '{"end": ends}', "SUMMARY": 'Summary(tuple(Line(k, "mean", v["end"].mean_estimate()) for k, v in cells.items()), ())'}


def run(folder: Path, changed: dict[str, str]) -> int:
    text = STUDY
    for name, value in (RIGHT | changed).items():
        text = text.replace(name, value)
    (folder / "own.py").write_text(text, encoding="utf-8")
    return main_run(["own", "--experiments", str(folder), "--out", str(folder / "runs"), "--executor", "serial"])


def test_a_right_one_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, {}) == Exit.COMPLETE
    assert "(n = 10)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"CELLS": "[1, 2]"}, Exit.USAGE, "The study's cells are [1, 2]; wanted labels"),
        ({"CELLS": '["a", ""]'}, Exit.USAGE, "wanted labels, words that are not empty"),
        ({"BLOCK": "None"}, Exit.FAILED, "own's block returned NoneType; wanted reducers by name"),
        ({"BLOCK": '{"end": 3.0}'}, Exit.FAILED, "own's block returned {'end': 'float'}; wanted reducers by name"),
        ({"BLOCK": '{"end": ends} | ({"other": ends} if paths == 2 else {})'}, Exit.USAGE, "wanted the same names in every block"),
        ({"BLOCK": '{"end": Moments.of(np.ones((paths, 1 + (paths == 2))))}'}, Exit.USAGE, "do not merge; wanted equal shapes"),
        ({"SUMMARY": "3"}, Exit.USAGE, "Own.summary returned int; wanted Summary(lines, panels)"),
    ],
)
def test_wrong_ones_are_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str], status: Exit, words: str) -> None:
    assert run(tmp_path, changed) == status
    assert words in " ".join(capsys.readouterr().err.split())


def test_moments_of_other_shapes_do_not_merge() -> None:
    """Broadcast they would have counted one column's paths for both."""
    one, two = Moments.of(np.ones((3, 1))), Moments.of(np.ones((3, 2)))
    for first, second in ((one, two), (two, one), (Moments.of(np.ones(3)), two)):
        with pytest.raises(InputError, match="wanted equal shapes"):
            first.merge(second)
