"""Scripts of the documentation's gallery run and leave a figure with numbers in it; the pages are built from them."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))
#: quick ones are run with every test; the others in the slow tier and when the pages are built
QUICK = {"b_stationary_variance", "c_saddle"}


def test_there_are_scripts_with_titles() -> None:
    assert len(SCRIPTS) >= 5
    for script in SCRIPTS:
        lines = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").splitlines()
        assert set(lines[1]) == {"="}
        assert len(lines[1]) >= len(lines[0])


@pytest.mark.parametrize(
    "script", [script if script.stem in QUICK else pytest.param(script, marks=pytest.mark.slow) for script in SCRIPTS], ids=lambda script: script.stem
)
def test_a_script_runs_and_draws(script: Path) -> None:
    figure = runpy.run_path(str(script))["figure"]
    heights = [np.asarray(line.get_ydata(), dtype=float) for axes in figure.axes for line in axes.lines]
    assert heights
    assert all(np.isfinite(numbers).any() for numbers in heights)
