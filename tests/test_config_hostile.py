"""Whatever a user types or a folder holds: a configuration or a run, or one sentence; never a traceback, and nothing of it is run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from running import STUDIES, go

from sgdsde.runs import config_file
from sgdsde.runs.arguments import parse
from sgdsde.runs.command import Exit
from sgdsde.runs.config import plain, resolve
from sgdsde.runs.config import settings as settings_of
from sgdsde.runs.listing import load
from sgdsde.runs.reading import open_run
from sgdsde.store import DamagedChunk
from sgdsde.types import InputError, SgdsdeError

WALK = load("walk", STUDIES)
Config: Any = WALK.config


def sentence_or(work: Callable[[], Any]) -> Any:
    """What the work returns; None where it refuses in one line. Any other exception is the test's."""
    try:
        return work()
    except InputError as error:
        text = str(error)
    assert text
    assert "\n" not in text
    assert len(text) < 1500
    return None


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers() | st.text(max_size=3), max_size=3)
names = st.sampled_from([*settings_of(Config), "eta", "../x", "__class__", ""]) | st.text(max_size=12)


@given(st.dictionaries(names, values, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_table_is_a_configuration_or_one_sentence(table: dict[str, Any]) -> None:
    config = sentence_or(lambda: resolve(Config, [("a file", table)]))
    if config is not None:
        assert resolve(Config, [("again", plain(config))]) == config
        assert all(math.isfinite(value) for value in vars(config).values() if isinstance(value, float))


@given(
    st.binary(max_size=60)
    | st.text(alphabet="ab:-[]{}&*!#'\"\n ,?|>%@`1.e+~<", max_size=40).map(str.encode)
    | st.dictionaries(names, values, max_size=3).map(lambda t: yaml.dump(t).encode())
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_a_table_or_one_sentence(data: bytes) -> None:
    table = sentence_or(lambda: config_file.parse(data, "--config x"))
    if table is not None:
        assert all(isinstance(key, str) for key in table)


words = st.sampled_from(
    ["walk", "--paths", "--help", "-h", "--grid", "paths=1,2", "paths=", "=1", "--config", "--out", "--profile", "full", "paper", "--executor",
     "serial", "process:0", "dask://", "thread:x", "--gpus", "0", "0,0", "--deadline", "--attempts", "--seed=1", "--", "---", "--=", "../walk",
     "nan", "\0", "é"]
)  # fmt: skip


@given(st.lists(words | st.text(max_size=6), max_size=6))
@example(["walk", "--grid", "paths=" + ",".join(map(str, range(11_000)))])
@example(["walk", "--out", "\0"])
@settings(max_examples=200, deadline=None)
def test_any_command_line_is_understood_or_one_sentence(typed: list[str]) -> None:
    sentence_or(lambda: parse(typed))


@given(
    st.binary(max_size=80)
    | st.dictionaries(
        st.sampled_from(["format", "recipe", "origin"]),
        st.integers() | st.none() | st.dictionaries(st.sampled_from(["kind", "cells", "config", "blocks"]), values, max_size=4),
        max_size=3,
    ).map(lambda d: repr(d).replace("'", '"').replace("None", "null").encode())
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_opening_hostile_folders_is_an_error_in_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run.json").write_bytes(data)
    (tmp_path / "blocks.jsonl").write_bytes(data)
    with pytest.raises(SgdsdeError):
        open_run(tmp_path)


def test_opening_a_run_runs_nothing_it_names(tmp_path: Path) -> None:
    """The study's file may be gone, or be another: a stored run is data."""
    assert go(tmp_path, "--steps", "3") == Exit.COMPLETE
    (folder,) = tmp_path.iterdir()
    text = (folder / "run.json").read_text().replace('"study": "walk"', '"study": "../../os.system"')
    (folder / "run.json").write_text(text)
    run = open_run(folder)
    assert run.study == "../../os.system"
    assert len(run.merged()) == 4
    (folder / "result.json").write_text("[")
    with pytest.raises(DamagedChunk, match="run the command again"):
        run.result()
