"""Profiles of the studies that ship: each resolves, and a tuple may be empty only where its field says so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sgdsde.runs import StudyConfig, main_run, option
from sgdsde.runs.config import resolve
from sgdsde.runs.config_file import parse
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.scripts import scripts
from sgdsde.types import InputError


@dataclass(frozen=True)
class Config(StudyConfig):
    some: tuple[int, ...] = option((1,), "at least one")
    any: tuple[int, ...] = option((1,), "one, several or none", empty=True)
    words: tuple[str, ...] = option(("a",), "words or none", empty=True)
    word: tuple[str, ...] = option(("a",), "words, at least one")


@pytest.mark.parametrize("name", sorted(scripts(folder_of_studies())))
def test_profiles_resolve_and_have_cells(name: str) -> None:
    study = load(name, folder_of_studies())
    for profile, values in study.profiles.items():
        assert study.cells(resolve(study.config, [(profile, values)]))


@pytest.mark.parametrize("value", [(), [], "none", "None"])
def test_no_element_where_the_field_allows_it(value: object) -> None:
    assert resolve(Config, [("test", {"any": value})]).any == ()
    with pytest.raises(InputError, match="some = "):
        resolve(Config, [("test", {"some": value})])


@pytest.mark.parametrize("text", ["any: []", "any: none", "any: [ ]", "words: []", "words: none"])
def test_a_file_says_no_element_by_an_empty_list_or_none(text: str) -> None:
    key = text.partition(":")[0]
    assert getattr(resolve(Config, [("file", parse(text.encode(), "file"))]), key) == ()


@pytest.mark.parametrize("key", ["any", "words"])
@pytest.mark.parametrize("value", ["", "  ", ",", None])
def test_nothing_written_is_told_how_to_write_no_element(key: str, value: object) -> None:
    with pytest.raises(InputError, match=r"separated by commas \(in a file: a list\), or none \(in a file: none or \[\]\)\.$"):
        resolve(Config, [("test", {key: value})])


@pytest.mark.parametrize(("key", "value"), [("some", ""), ("some", "  "), ("word", ""), ("word", "a,,b"), ("word", "a,")])
def test_where_an_element_is_needed_nothing_written_is_refused(key: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"{key} = '{value}'; wanted values separated by commas \(in a file: a list\), at least one"):
        resolve(Config, [("test", {key: value})])


def test_help_says_which_settings_may_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_run(["network-comparison", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "widths, likewise (default: 1, 2, 3, 6, 10; may be none)" in said
    assert said.count("may be none") == 4
