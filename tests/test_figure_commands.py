"""The command that stands beside a figure makes its study's run again: every setting survives the shell."""

from __future__ import annotations

import shlex

import pytest

from sgdsde.figures.write import _setting
from sgdsde.runs.config import convert, settings
from sgdsde.runs.listing import folder_of_studies, load


@pytest.mark.parametrize("name", ["basins", "decoupling", "noise-and-curvature", "size-and-classes", "generalisation"])
def test_settings_survive_the_shell(name: str) -> None:
    """An empty folder is two quotes; without them the next option would be its value."""
    study = load(name, folder_of_studies())
    config = vars(study.config())
    command = " ".join(f"--{key} {_setting(value)}" for key, value in config.items())
    words = shlex.split(command)
    assert len(words) == 2 * len(config)
    known = settings(study.config)
    for option, text in zip(words[::2], words[1::2], strict=True):
        key = option.removeprefix("--")
        assert convert(text, known[key], "test") == config[key]
