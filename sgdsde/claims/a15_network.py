"""A15-network: on a digits network with single-sample batches, is HA-SME closer to SGD than SME-1, SME-2 and SPF? Against SGD's Gaussian surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.network_comparison import MODELS, NAMES, OBSERVABLES, corrected_network_comparison, network_comparison
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, Within

STEPS, TRAINING = 8, 3
SIZE = {"quick": {"samples": 100, "paths": 400, "substeps": 3}, "full": {"samples": 100, "paths": 1600, "substeps": 3}}
PLACES = {
    "quick": (("mid-training", 0.2), ("minimum", 0.6)),
    "full": tuple((start, x) for start in ("initialisation", "mid-training", "minimum") for x in (0.15, 0.3, 0.6)),
}
#: what the quick profile has the paths to decide, and more
SPREAD = {"quick": ("tr Cov",), "full": ("tr Cov", "squared distance")}
#: times as many paths where a pilot of 1,024 paths at another seed (4,096 after one step) asked for more than 1,600 in the full profile, for power .9 at its
#: level, against SME-1: from a fresh network in tr Cov at x = .15 (1,750; 10,300 with minibatches) and in the distance at x = .3 (2,400), from the minimum at
#: x = .15 in tr Cov (3,700; 8,100 were the gap one standard error smaller); after one step in tr Cov at x = .2 (8,500)
MORE = {("initialisation", 0.15): 7, ("initialisation", 0.3): 2, ("minimum", 0.15): 5}
MORE_EARLY = 6
#: the same after one step
EARLY = tuple(("minimum", x) for x in (0.2, 0.4, 0.6))
CLOSER, ALL = LessThan(1.0), Within(1, 1)
CITATION = Citation("2405.18373v3", "abstract: experiments on neural-network losses confirm the smaller error; here at the smallest real size")
CONDITIONS = (
    Condition("ηλ < 1 along the paths", "x = ηλmax ≤ .6 at the start; where a path passes 1 the logarithm is clipped at .99; counted in the notes"),
    Condition("HA-SME's Q is positive", "it is not, on most paths: negative eigenvalues are set to zero; their share stands in the notes"),
    Condition("no path diverges", "a row for each setting"),
    Condition(
        "the integrator's error is small",
        "quick: step halving on coupled paths; twice what chance does not explain of it widens every interval, by as much as chance does. full: twice what "
        "halving changes is added path by path, which removes the leading error",
    ),
    Condition(
        "there are paths enough",
        "full: 1,600, and more where a pilot at another seed asked for them, for power .9 in spread and distance; where rows stay open the notes tell how many",
    ),
)


class NetworkSurrogate(Claim):
    """HA-SME against its rivals in the spread of a network's iterates, reference: the Gaussian surrogate."""

    id = "A15-network"
    title = "On a digits network HA-SME is closer to SGD than SME-1, SME-2 and SPF: spread and distance"
    statement = (
        "For a tanh network with 18 parameters on digits and batches of one sample, after eight steps, HA-SME's error is smaller than that of SME-1, SME-2 "
        "and SPF in tr Cov θ and E‖θ − θ₀‖². Reference: SGD with Gaussian noise of the minibatch's covariance."
    )
    citations = (CITATION,)
    conditions = CONDITIONS
    not_shown = (
        "The quick profile has tr Cov only, and at some seeds leaves rows open. Larger networks; longer and much shorter runs: in the first two steps HA-SME "
        "overshoots tr Cov by as much as the others fall short (A15-network-early). Closer is not close. E loss: A15-network-loss. True minibatches: "
        "A15-network-batch."
    )
    size_name = "x = ηλmax at the start"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        return plan_for("surrogate", SPREAD[profile], profile, seed)


def early_name(start: str, x: float) -> str:
    """The setting of one step."""
    return f"{start}, x = {x}, one step"


def plan_for(reference: str, observables: Sequence[str], profile: str, seed: int, *, early: Sequence[str] = ()) -> Plan:
    """The rows for some observables against one reference, after one step for those in ``early``; the claims of this family read the same
    measurements.
    """
    rng = draws(seed, "A15-network")
    settings: dict[str, dict[str, Any]] = {
        f"{start}, x = {x}": {"start": start, "x": x, "batch": 1, "steps": STEPS, "training": TRAINING} for start, x in PLACES[profile]
    }
    settings |= {early_name(start, x): {"start": start, "x": x, "batch": 1, "steps": 1, "training": TRAINING} for start, x in EARLY}
    settings["drawn"] = {
        "start": "mid-training",
        "x": round(float(rng.uniform(0.25, 0.5)), 3),
        "batch": int(rng.integers(1, 4)),
        "steps": int(rng.integers(6, 11)),
        "training": int(rng.integers(10, 10**6)),
        "middle": int(rng.integers(60, 200)),
    }
    settings["drawn, one step"] = {key: value for key, value in settings["drawn"].items() if key != "middle"} | {"start": "minimum", "steps": 1}
    if profile == "full":
        for where, times in MORE.items():
            settings["{}, x = {}".format(*where)]["times"] = times
        settings[early_name(*EARLY[0])]["times"] = settings["drawn, one step"]["times"] = MORE_EARLY
    measured = {name: _measurement(name, settings, profile) for name in settings}
    rows = []
    for name, setting in settings.items():
        shared: dict[str, Any] = {
            "drawn": name.startswith("drawn"),
            "parameters": {"start": setting["start"], "x": setting["x"], "B": setting["batch"], "k": setting["steps"]},
        }
        for observable in early if setting["steps"] == 1 else observables:
            for rival in MODELS[:-1]:
                label = f"HA-SME's error over {NAMES[rival]}'s, {OBSERVABLES[observable]}"
                rows.append(Row(label, measured[name].name, f"{name}/{reference}/{observable}/HASME:{rival}", CLOSER, setting["x"], **shared))
        if not rows or rows[-1].key.split("/")[0] != name:
            continue
        rows.append(Row("share of paths that reach the horizon", measured[name].name, f"{name}/ok", ALL, setting["x"], Role.CONDITION, **shared))
    # what a quick run has the paths to tell apart; SPF has HA-SME's drift and not its diffusion, and loses to SME-1
    label, broken = {"quick": ("a model without noise", "GradientFlow"), "full": ("SPF", "SPF")}[profile]
    start, x = PLACES[profile][-1]
    at, name = {"start": start, "x": x, "B": 1, "k": STEPS}, f"{start}, x = {x}"
    key = f"{name}/{reference}/{(*observables, *early)[0]}/{broken}:SME1"
    rows.append(Row(f"{label} in place of HA-SME, against SME-1", measured[name].name, key, CLOSER, x, Role.CONTROL, parameters=at))
    read = {row.measurement for row in rows}
    return Plan(tuple({one.name: one for one in measured.values() if one.name in read}.values()), tuple(rows))


def _measurement(name: str, settings: dict[str, dict[str, Any]], profile: str) -> Measurement:
    """What holds a setting: the step sizes from one start and number of steps lie in one measurement, each drawn setting in its own."""
    group = _group(name, settings[name])
    chosen, size = {other: setting for other, setting in settings.items() if _group(other, setting) == group}, SIZE[profile]
    ticks = sum(setting["steps"] * setting.get("times", 1) for setting in chosen.values())
    cost = ticks / STEPS * size["paths"] * size["samples"] * size["substeps"] / 10_000
    run = network_comparison if profile == "quick" else corrected_network_comparison
    return Measurement(f"digits network, coupled paths: {group}", run, {"settings": chosen, **size}, seconds=cost)


def _group(name: str, setting: dict[str, Any]) -> str:
    if name.startswith("drawn"):
        return name
    return setting["start"] if setting["steps"] > 1 else f"{setting['start']}, one step"
