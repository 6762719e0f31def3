"""A claim that does not state what a claim must state is refused before anything runs, in words that can be followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from toy_claims import CATALOGUE, Toy

from sgdsde.claim import Claim, Plan, Scale, as_claim
from sgdsde.ledger import confidence_of, select, verify
from sgdsde.types import InputError


class Bare(Claim):
    """A plan and nothing else."""

    def plan(self, profile: str, seed: int) -> Plan:
        return Plan((), ())


class Told(Toy):
    """A toy whose plan is what it was told."""

    def __init__(self, plan: Any) -> None:
        super().__init__("T1", 1.0)
        self.told = plan

    def plan(self, profile: str, seed: int) -> Plan:
        return self.told


def toy(**attributes: Any) -> Toy:
    found = Toy("T1", 1.0)
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


def without_scales() -> Toy:
    found = Toy("T1", 1.0)
    del found.scales
    return found


@pytest.mark.parametrize(
    "use",
    [
        lambda claim: claim.judge({}, profile="quick", seed=1),
        lambda claim: select([*CATALOGUE, claim], "quick"),
        lambda claim: confidence_of([*CATALOGUE, claim], "quick", 1),
        lambda claim: verify(CATALOGUE, [claim], profile="quick", workers=1),
    ],
    ids=["judge", "select", "confidence_of", "verify"],
)
def test_a_claim_without_scales_is_told_what_to_write(use: Callable[[Claim], object]) -> None:
    with pytest.raises(InputError, match=r'Toy.scales is missing; write scales = \{"quick": Scale.REDUCED\}, for each profile EXACT, REDUCED or PAPER'):
        use(without_scales())


@pytest.mark.parametrize("name", ["id", "title", "statement", "citations", "conditions", "not_shown", "size_name", "scales"])
def test_each_attribute_is_wanted(name: str) -> None:
    with pytest.raises(InputError, match=rf"Toy.{name} is missing; write {name} = "):
        as_claim(toy(**{name: None}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("scales", {}), ("scales", {"quick"}), ("scales", {"quick": "small"}), ("citations", "1234.56789v1"), ("conditions", ("normal",)), ("id", 3)],
)
def test_an_attribute_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"Toy.{name} = .*; write {name} = "):
        as_claim(toy(**{name: value}))


def test_what_is_no_claim_is_refused() -> None:
    with pytest.raises(InputError, match=r"claim is the class Toy; wanted a sg.Claim made from it"):
        verify([Toy], [Toy], profile="quick", workers=1)  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"Bare.id is missing"):
        as_claim(Bare())
    assert as_claim(CATALOGUE[0]) is CATALOGUE[0]
    assert set(CATALOGUE[0].scales.values()) == {Scale.REDUCED}


def test_a_claim_outside_its_profiles_is_refused_before_anything_runs() -> None:
    ran: list[str] = []
    with pytest.raises(InputError, match="claim T11 has no profile 'quick'"):
        verify(CATALOGUE, [CATALOGUE[0], CATALOGUE[3]], profile="quick", workers=1, report=lambda job, *_: ran.append(job.name))
    assert not ran


def test_a_plan_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"Told.plan returned a list; wanted a sgdsde.claim.Plan"):
        verify([Told([])], [Told([])], profile="quick", workers=1)


def test_a_catalogue_without_rows_is_refused() -> None:
    with pytest.raises(InputError, match="The 1 claims of the catalogue plan no row at the profile 'quick'"):
        verify([Told(Plan((), ()))], [Told(Plan((), ()))], profile="quick", workers=1)
