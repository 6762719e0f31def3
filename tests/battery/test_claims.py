"""Every claim that stands in ``sgdsde/claims`` passes the same battery: it says what it must say, its plan is fixed by profile and seed, its control is there.

The cheap ones are run and judged; all of them are in the slow tier. Mutants (a wrong model in the place of the right one) must be contradicted.
"""

from __future__ import annotations

import json
import pickle
import re
import time

import pytest

from sgdsde.archive import key_of
from sgdsde.claim import Claim, Outcome, Role, Scale
from sgdsde.claims import catalogue
from sgdsde.ledger import SEED, verify
from sgdsde.report.record import record_of
from sgdsde.zone import Zone

CATALOGUE = catalogue()
PROFILES = ("quick", "full")
every = pytest.mark.parametrize("claim", CATALOGUE, ids=lambda claim: claim.id)
in_its_profiles = pytest.mark.parametrize(("claim", "profile"), [pytest.param(c, p, id=f"{c.id}-{p}") for c in CATALOGUE for p in PROFILES if p in c.scales])
#: seconds of measurements that a claim may cost to be run here
CHEAP = 1.5


def cost(claim: Claim) -> float:
    return sum(measurement.seconds for measurement in claim.plan("quick", SEED).measurements)


def test_the_catalogue_is_found_and_ordered() -> None:
    ids = [claim.id for claim in CATALOGUE]
    assert {"A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A11", "A15-small", "A17", "A18", "A21", "A23", "A24"} <= set(ids)
    assert len(set(ids)) == len(ids)
    assert ids.index("A2") < ids.index("A11")
    assert len({claim.title for claim in CATALOGUE}) == len(ids)


@every
def test_a_claim_says_what_it_must_say(claim: Claim) -> None:
    assert re.fullmatch(r"[A-Z]\d+(-[a-z-]+)?", claim.id)
    for text in (claim.title, claim.statement, claim.not_shown, claim.size_name):
        assert text.strip()
    assert len(claim.title) <= 90
    assert claim.citations
    for citation in claim.citations:
        assert citation.arxiv == "" or re.fullmatch(r"\d{4}\.\d{4,5}v\d+", citation.arxiv), citation
        assert citation.where
    assert claim.conditions
    assert set(claim.scales) <= {*PROFILES, "paper"}
    assert all(isinstance(scale, Scale) for scale in claim.scales.values())
    assert claim.scales


@in_its_profiles
def test_a_plan_is_fixed_by_profile_and_seed(claim: Claim, profile: str) -> None:
    start = time.perf_counter()
    plan = claim.plan(profile, SEED)
    assert time.perf_counter() - start < 2.0, "planning must be cheap: the whole catalogue is planned before one claim is run"
    assert plan == claim.plan(profile, SEED)
    other = claim.plan(profile, SEED + 1)
    assert len(other.rows) == len(plan.rows), "the level must not depend on the seed"
    assert any(row.drawn for row in plan.rows), "some parameters must be drawn"
    other_rows = [row for row in plan.rows if row.drawn] != [row for row in other.rows if row.drawn]
    assert other_rows or plan.measurements != other.measurements or any(measurement.population for measurement in plan.measurements)
    assert [row for row in plan.rows if not row.drawn] == [row for row in other.rows if not row.drawn], "only drawn rows may depend on the seed"


@in_its_profiles
def test_a_plan_has_controls_sizes_and_measurements(claim: Claim, profile: str) -> None:
    plan = claim.plan(profile, SEED)
    names = [measurement.name for measurement in plan.measurements]
    assert len(set(names)) == len(names)
    assert {row.measurement for row in plan.rows} <= set(names)  # a measurement may be there for a figure only
    assert all(isinstance(row.zone, Zone) for row in plan.rows)
    assert any(row.role is Role.CONTROL for row in plan.rows)
    stated = [row for row in plan.rows if row.role is Role.CLAIM]
    assert len({row.size for row in stated}) >= 3, "three sizes show a trend"
    for measurement in plan.measurements:
        assert pickle.loads(pickle.dumps(measurement)) == measurement
        json.dumps(list(measurement.parameters), allow_nan=False)


@in_its_profiles
def test_measurements_have_keys_under_which_their_results_are_kept(claim: Claim, profile: str) -> None:
    if profile in claim.scales:
        measurements = claim.plan(profile, 7).measurements
        assert len({key_of(measurement, 7, 0.99) for measurement in measurements}) == len(measurements)


def test_measurements_that_share_a_name_are_equal() -> None:
    for profile in PROFILES:
        seen = {}
        for claim in CATALOGUE:
            if profile in claim.scales:
                for measurement in claim.plan(profile, SEED).measurements:
                    assert seen.setdefault(measurement.name, measurement) == measurement, measurement.name


@pytest.mark.parametrize("claim", [claim for claim in CATALOGUE if cost(claim) <= CHEAP], ids=lambda claim: claim.id)
def test_a_cheap_claim_runs_and_keeps_its_control(claim: Claim) -> None:
    ledger = verify(CATALOGUE, [claim], profile="quick", seed=SEED + 7, workers=1)
    verdict = ledger.entries[0].verdict
    assert ledger.trustworthy, verdict.why
    assert verdict == claim.judge(ledger.finished, profile="quick", seed=SEED + 7)
    json.dumps(record_of(ledger), allow_nan=False)


def _judged(identifier: str) -> Outcome:
    claim = next(claim for claim in CATALOGUE if claim.id == identifier)
    return verify(CATALOGUE, [claim], profile="quick", workers=1).entries[0].verdict.outcome


def test_mutants_are_contradicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong diffusion for HA-SME (A1), a wrong flow for the principal flow (A17), a missing half in the regulariser (A18)."""
    from sgdsde.measurements import flows_on_quadratics, implicit_regularizer, one_step_law
    from sgdsde.sdes import SPF, GradientFlow

    assert [_judged(name) for name in ("A1", "A17", "A18")] == [Outcome.SUPPORTED] * 3
    monkeypatch.setitem(one_step_law.MODELS, "HASME", SPF)
    assert _judged("A1") is Outcome.CONTRADICTED
    monkeypatch.setitem(flows_on_quadratics.FLOWS, "PrincipalFlow", GradientFlow)
    assert _judged("A17") is Outcome.CONTRADICTED
    original = implicit_regularizer._distance
    monkeypatch.setattr(implicit_regularizer, "_distance", lambda objective, theta, eta, c: original(objective, theta, eta, c / 2))
    assert _judged("A18") in (Outcome.CONTRADICTED, Outcome.CONTROL_FAILED)


@pytest.mark.slow
def test_the_whole_quick_ledger_runs_and_keeps_its_controls() -> None:
    ledger = verify(CATALOGUE, [claim for claim in CATALOGUE if "quick" in claim.scales], profile="quick")
    assert ledger.trustworthy, [
        (entry.claim.id, entry.verdict.why) for entry in ledger.entries if entry.verdict.outcome in (Outcome.NOT_RUN, Outcome.CONTROL_FAILED)
    ]
    supported = {entry.claim.id for entry in ledger.entries if entry.verdict.outcome is Outcome.SUPPORTED}
    assert {"A1", "A2", "A3", "A4", "A5", "A6", "A8", "A11", "A17", "A18", "A21", "A23"} <= supported
