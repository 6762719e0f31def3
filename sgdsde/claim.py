"""A claim: a published statement, the region it names, and a verdict from measurements.

A claim *plans* before anything runs: its rows state which number is read and in which zone it must lie. So no region can depend on a
number found by running. ``judge`` is pure: plan and measurements in, verdict out. Rows are judged in three zones (inside, disjoint, across);
the level is .05 divided by the number of rows in the whole catalogue, whatever part of it is run.

A control row must lie *outside* its zone: it is the same measurement on something that is known to break the statement. Where it does not
fail, the instrument cannot tell right from wrong, and the claim's verdict is "control failed" whatever the other rows say.
"""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sgdsde.given import is_name
from sgdsde.measurement import Finished, Measurement
from sgdsde.types import Estimate, InputError, expected, suggest
from sgdsde.zone import Position, Zone, number

#: false-alarm rate of the whole catalogue
LEVEL = 0.05
#: fewer independent samples than this carry no interval
FEWEST_SAMPLES = 30


class Outcome(enum.StrEnum):
    """What became of a row or a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    INCONCLUSIVE = "inconclusive"
    CONTROL_FAILED = "control failed"
    NOT_RUN = "not run"


class Scale(enum.StrEnum):
    """At which scale the claim was checked: by exact computation, at a reduced size, at the size of the paper."""

    EXACT = "exact"
    REDUCED = "reduced"
    PAPER = "paper"


class Role(enum.StrEnum):
    """What a row is for."""

    CLAIM = "claim"
    CONTROL = "control"  #: must lie outside its zone
    CONDITION = "condition"  #: must lie inside, or the statement does not speak about this run


@dataclass(frozen=True)
class Citation:
    """Where the statement stands: arXiv identifier with version, and the theorem or section; "" for this project's own."""

    arxiv: str
    where: str

    @property
    def identifier(self) -> str:
        """The identifier without its version."""
        return self.arxiv.split("v")[0]


@dataclass(frozen=True)
class Condition:
    """A premise of the statement, and how it was checked ("" : it was not)."""

    text: str
    checked: str = ""


@dataclass(frozen=True)
class Row:
    """One number and the zone it must lie in, fixed before the run.

    ``measurement`` and ``key`` name the number; ``size`` places the row on the claim's axis of sizes; ``drawn`` says that its parameters
    came from the seed and stand nowhere in the text.
    """

    label: str
    measurement: str
    key: str
    zone: Zone
    size: float
    role: Role = Role.CLAIM
    drawn: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a claim will read, and how it will judge it."""

    measurements: tuple[Measurement, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class RowVerdict:
    """A judged row."""

    row: Row
    estimate: Estimate | None
    outcome: Outcome
    why: str


@dataclass(frozen=True)
class Verdict:
    """A judged claim."""

    claim: str
    outcome: Outcome
    scale: Scale
    why: str
    rows: tuple[RowVerdict, ...]


class Claim(ABC):
    """One published statement. A subclass states the attributes below and writes ``plan``; nothing else.

    Attributes:
        id, title, statement: as in the catalogue; the statement in words that a referee accepts.
        citations: versioned; the theorem or section.
        conditions: premises, each checked or not.
        not_shown: what a supported verdict does not show.
        size_name: the axis along which the rows grow (at least three sizes).
        scales: for each profile the claim belongs to, the scale at which it runs there.

    Example:
        >>> claims = {claim.id: claim for claim in sg.claims.catalogue()}
        >>> isinstance(claims["A5"], sg.Claim), claims["A5"].title
        (True, 'Stationary variance on quadratics: SME-1, SME-2 and SPF fall short, HA-SME does not')
    """

    id: str
    title: str
    statement: str
    citations: tuple[Citation, ...]
    conditions: tuple[Condition, ...]
    not_shown: str
    size_name: str
    scales: Mapping[str, Scale]

    @abstractmethod
    def plan(self, profile: str, seed: int) -> Plan:
        """The measurements and rows at a profile; cheap, and the number of rows must not depend on the seed."""

    def judge(self, finished: Mapping[str, Finished], *, profile: str, seed: int) -> Verdict:
        """The verdict from finished measurements: pure.

        Raises:
            InputError: the claim has no such profile, or an attribute is missing.
        """
        return judge_plan(self.id, planned(self, profile, seed), finished, self.scales[profile])


#: what a claim states of itself: of which kind each attribute is, and how it is written
_STATED: Mapping[str, tuple[Any, str]] = {
    "id": (str, 'id = "X1"'),
    "title": (str, 'title = "one line"'),
    "statement": (str, 'statement = "the statement in words"'),
    "citations": (Citation, 'citations = (Citation("1234.56789v1", "Theorem 1"),)'),
    "conditions": (Condition, 'conditions = (Condition("a premise", "how it was checked"),)'),
    "not_shown": (str, 'not_shown = "what a supported verdict does not show"'),
    "size_name": (str, 'size_name = "the axis along which the rows grow"'),
    "scales": (Scale, 'scales = {"quick": Scale.REDUCED}, for each profile EXACT, REDUCED or PAPER'),
}


def as_claim(claim: Any) -> Claim:
    """The claim as it is.

    Raises:
        InputError: it is none, or an attribute that it must state is missing or of another kind; told is how it is written.
    """
    found: Claim = expected(claim, Claim, "claim", "a class with the attributes and the plan of sg.Claim, made by ()")
    for name, (kind, example) in _STATED.items():
        value = getattr(found, name, None)
        if not _is_stated(value, kind):
            came = "is missing" if value is None else f"= {value!r:.60}"
            raise InputError(f"{type(found).__name__}.{name} {came}; write {example} (the words are in sgdsde.claim).")
    return found


def _is_stated(value: Any, kind: type) -> bool:
    if kind is Scale:
        return isinstance(value, Mapping) and bool(value) and all(isinstance(scale, Scale) for scale in value.values())
    if kind is str:
        return isinstance(value, str)
    return isinstance(value, tuple | list) and all(isinstance(part, kind) for part in value)


def planned(claim: Claim, profile: str, seed: int) -> Plan:
    """The plan of a claim at a profile that it belongs to.

    Raises:
        InputError: it has no such profile, see also :func:`as_claim`; its ``plan`` returned something else.
    """
    if not is_name(profile, as_claim(claim).scales):
        raise InputError(f"claim {claim.id} has no profile {profile!r}." + suggest(profile, list(claim.scales)))
    plan = claim.plan(profile, seed)
    if not isinstance(plan, Plan):
        raise InputError(f"{type(claim).__name__}.plan returned a {type(plan).__name__}; wanted a sgdsde.claim.Plan: Plan(measurements, rows).")
    return plan


def judge_plan(claim: str, plan: Plan, finished: Mapping[str, Finished], scale: Scale) -> Verdict:
    """Judge every row, then the claim: not run > control failed > conditions not met > contradicted > inconclusive > supported."""
    rows = tuple(_judge_row(row, finished) for row in plan.rows)
    outcome, why = _overall(rows)
    return Verdict(claim, outcome, scale, why, rows)


def judge_estimate(zone: Zone, estimate: Estimate) -> tuple[Outcome, str]:
    """The three-zone decision for one number, with the reason in words.

    Supported needs the interval inside the zone and a run that could resolve it: defined, with a positive standard error and at least
    FEWEST_SAMPLES samples where it is random (an estimator that never varied is no evidence), and an interval no wider than the zone.
    """
    low, value, high = float(estimate.low), float(estimate.value), float(estimate.high)
    if not low <= value <= high or math.isinf(value):
        return Outcome.INCONCLUSIVE, f"no interval (value {number(value)}, from {number(low)} to {number(high)})"
    if estimate.n and estimate.n < FEWEST_SAMPLES:
        return Outcome.INCONCLUSIVE, f"{estimate.n} samples carry no interval; wanted {FEWEST_SAMPLES}"
    if estimate.n and not float(estimate.stderr) > 0:
        return Outcome.INCONCLUSIVE, "a random estimate without any spread: nothing was resolved"
    position = zone.position(low, high)
    if position is Position.INSIDE:
        return Outcome.SUPPORTED, "interval inside the region"
    if position is Position.DISJOINT:
        return Outcome.CONTRADICTED, "interval and region are disjoint"
    if high - low > zone.width:
        return Outcome.INCONCLUSIVE, f"the interval (width {number(high - low)}) is wider than the region (width {number(zone.width)}): not resolved"
    return Outcome.INCONCLUSIVE, "the interval lies across the edge of the region"


def _judge_row(row: Row, finished: Mapping[str, Finished]) -> RowVerdict:
    result = finished.get(row.measurement)
    if result is None or result.measured is None:
        why = "the measurement was not run" if result is None else result.error
        return RowVerdict(row, None, Outcome.NOT_RUN, why)
    if row.key not in result.measured.estimates:
        return RowVerdict(row, None, Outcome.NOT_RUN, f"the measurement {row.measurement!r} holds no {row.key!r}")
    estimate = result.measured.estimates[row.key]
    outcome, why = judge_estimate(row.zone, estimate)
    if row.role is Role.CONTROL:
        if outcome is Outcome.CONTRADICTED:
            return RowVerdict(row, estimate, Outcome.SUPPORTED, "outside the region, as a control must be")
        return RowVerdict(row, estimate, Outcome.CONTROL_FAILED, f"the control did not fail: {why}")
    return RowVerdict(row, estimate, outcome, why)


def _overall(rows: Sequence[RowVerdict]) -> tuple[Outcome, str]:
    if not rows:
        return Outcome.NOT_RUN, "the plan holds no rows"
    lost = [verdict for verdict in rows if verdict.outcome is Outcome.NOT_RUN]
    if lost:
        return Outcome.NOT_RUN, lost[0].why
    broken = [verdict for verdict in rows if verdict.outcome is Outcome.CONTROL_FAILED]
    if broken:
        return Outcome.CONTROL_FAILED, f"{broken[0].row.label}: {broken[0].why}"
    if not any(verdict.row.role is Role.CONTROL for verdict in rows):
        return Outcome.CONTROL_FAILED, "there is no control row: nothing shows that this claim could fail"
    unmet = [verdict for verdict in rows if verdict.row.role is Role.CONDITION and verdict.outcome is not Outcome.SUPPORTED]
    if unmet:
        return Outcome.INCONCLUSIVE, f"a condition is not met: {unmet[0].row.label} ({unmet[0].why})"
    stated = [verdict for verdict in rows if verdict.row.role is Role.CLAIM]
    against = [verdict for verdict in stated if verdict.outcome is Outcome.CONTRADICTED]
    if against:
        return Outcome.CONTRADICTED, f"{len(against)} of {len(stated)} rows lie outside their regions, first: {against[0].row.label}"
    open_rows = [verdict for verdict in stated if verdict.outcome is Outcome.INCONCLUSIVE]
    if open_rows:
        return Outcome.INCONCLUSIVE, f"{len(open_rows)} of {len(stated)} rows decide nothing, first: {open_rows[0].row.label} ({open_rows[0].why})"
    if not stated:
        return Outcome.INCONCLUSIVE, "the plan holds controls and conditions only"
    return Outcome.SUPPORTED, f"all {len(stated)} rows lie inside their regions, and every control failed as it must"
