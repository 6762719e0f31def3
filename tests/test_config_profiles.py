"""Profiles of the studies that ship: each resolves, and a tuple may be empty only where its field says so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sgdsde.runs import StudyConfig, option
from sgdsde.runs.config import resolve
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.scripts import scripts
from sgdsde.types import InputError


@dataclass(frozen=True)
class Config(StudyConfig):
    some: tuple[int, ...] = option((1,), "at least one")
    any: tuple[int, ...] = option((1,), "one, several or none", empty=True)


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
