"""C12, C14, C16: outliers and bulk against classes, width and batch size, over many starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_outliers import hessian_outliers
from sgdsde.measurements.hessian_sizes import hessian_sizes
from sgdsde.zone import MoreThan, Within

BASE: dict[str, Any] = {"classes": 10, "hidden": (20, 20), "batch": 32, "loss": 0.1}
CLASSES, HIDDEN, BATCHES = (2, 3, 5, 10), (8, 16, 30), (8, 64, 0)
#: networks of a population
COUNTED, WIDE, PAIRED = {"quick": 64, "full": 256}, {"quick": 64, "full": 128}, {"quick": 32, "full": 128}
#: "steady": within a factor of two; "most": more than half
STEADY, MOST = Within(0.5, 2), MoreThan(0.5)
RULE = Condition("outliers are counted by a stated rule", "cut at the largest ratio of neighbouring eigenvalues of G")
#: what the intervals of shares can tell at the ledger's level
RESOLVES = Condition("enough networks to speak of most", "64 in the quick profile (128 with ten classes): 50 of 64 show that it is most, 14 that it is not")
POPULATION = Condition("starts are independent", "each draws its samples, initialisation and order of samples; settings are compared start by start")


class _Sizes:
    """What they share."""

    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}


class OutliersAndClasses(_Sizes, Claim):
    """Outliers count the classes."""

    id = "C12"
    title = "The spectrum is a bulk near zero and about as many outliers as there are classes"
    statement = (
        "Of most ReLU networks trained on c = 2, 3, 5, 10 classes of digits in [0, 1] to loss .1 the largest ratio of neighbouring eigenvalues of G cuts off "
        "c−1 or c."
    )
    citations = (Citation("1706.04454v3", "outliers of the spectrum and the number of classes"), Citation("2010.04261v6", "c−1 outliers"))
    conditions = (RULE, RESOLVES, POPULATION, Condition("inputs with a dominant mean", "pixels in [0, 1]"))
    not_shown = (
        "Every network: with ten classes about one in six has another count. Other rules: the largest difference finds fewer. Standardised inputs, where about "
        "one network in eight has c−1 or c; tanh units, the control. Other stages of training."
    )
    size_name = "classes c"

    def plan(self, profile: str, seed: int) -> Plan:
        name, samples = "outliers and classes", 340 if profile == "quick" else 1_000
        runs: dict[str, dict[str, Any]] = {f"{c} classes": BASE | {"classes": c, "samples": samples, "starts": COUNTED[profile]} for c in CLASSES}
        runs["10 classes"]["starts"] *= 2  # where the share is nearest to one half
        rows = [Row("share of networks with c−1 or c", name, f"{c} classes/c−1 or c", MOST, c, drawn=True, parameters={"c": c}) for c in CLASSES]
        runs["tanh"] = BASE | {"samples": samples, "activation": "tanh", "starts": PAIRED[profile]}
        rows.append(Row("tanh units", name, "tanh/c−1 or c", MOST, 10, Role.CONTROL, True, {"c": 10}))
        made = Measurement(name, hessian_outliers, {"runs": runs}, seconds=12 if profile == "quick" else 150, population=True)
        return Plan((made,), tuple(rows))


class WidthScalesBulk(_Sizes, Claim):
    """More parameters add to the bulk."""

    id = "C14"
    title = "More parameters only add eigenvalues near zero"
    statement = (
        "At equal loss a wider network has, on average over starts, a larger share of eigenvalues near zero (below 1e-3 of the largest), while the largest "
        "of the typical network (geometric mean of ratios) stays within a factor of two."
    )
    citations = (Citation("1706.04454v3", "the bulk grows with the number of parameters, the outliers do not"),)
    conditions = (
        Condition("equal training loss", "the runs stop at loss .1"),
        POPULATION,
        Condition("enough networks to see a share move", "64 in the quick profile resolve about .03"),
    )
    not_shown = (
        "That each network's share grows from one width to the next: starts scatter by as much as a width moves it. Depth, very wide networks, other losses. "
        "The control is the way back, from wide to narrow."
    )
    size_name = "hidden units"

    def plan(self, profile: str, seed: int) -> Plan:
        name, samples = "outliers and width", 500 if profile == "quick" else 1_000
        runs = {f"{units} units": BASE | {"hidden": (units, units), "samples": samples} for units in HIDDEN}
        ratios, rows = {}, []
        for a, b in ((8, 16), (16, 30), (8, 30)):
            ratios[f"{a}→{b}"] = (f"{a} units", f"{b} units")
            where: dict[str, Any] = {"size": a + b / 100, "drawn": True, "parameters": {"from": a, "to": b}}
            rows.append(Row("share near zero, more (mean)", name, f"{a}→{b}/near zero", MoreThan(0.0), **where))
            rows.append(Row("λmax, ratio (geometric mean)", name, f"{a}→{b}/λmax", STEADY, **where))
        ratios["30→8"] = ("30 units", "8 units")
        rows.append(Row("from wide to narrow", name, "30→8/near zero", MoreThan(0.0), 30, Role.CONTROL, True))
        parameters = {"runs": runs, "ratios": ratios, "starts": WIDE[profile]}
        return Plan((Measurement(name, hessian_sizes, parameters, seconds=10 if profile == "quick" else 60, population=True),), tuple(rows))


class BatchScalesOutliers(_Sizes, Claim):
    """Larger batches, larger outliers."""

    id = "C16"
    title = "Larger batches end at larger outliers"
    statement = "At equal loss the typical network's largest eigenvalue (geometric mean of ratios, start by start) grows with the batch size: B = 8, 64, all."
    citations = (Citation("1706.04454v3", "large and small batches: outliers differ in size, not in number"),)
    conditions = (
        Condition("equal training loss", "the runs stop at loss .05"),
        Condition("equal step size", "η = .1"),
        POPULATION,
        Condition("enough networks", "32 in the quick profile resolve about 5 % between B = 64 and all"),
    )
    not_shown = "That the number of outliers is the same by every rule. Equal numbers of steps, or step sizes scaled with the batch."
    size_name = "batch size B"

    def plan(self, profile: str, seed: int) -> Plan:
        name, samples = "outliers and batch size", 300 if profile == "quick" else 1_000
        runs = {f"B = {batch or 'all'}": BASE | {"batch": batch, "samples": samples, "loss": 0.05} for batch in BATCHES}
        ratios, rows = {}, []
        for size, (a, b) in enumerate((("8", "64"), ("64", "all"), ("8", "all"))):
            ratios[f"{a}→{b}"] = (f"B = {a}", f"B = {b}")
            rows.append(Row(f"λmax, B = {b} over {a}", name, f"{a}→{b}/λmax", MoreThan(1.0), size + 1, drawn=True, parameters={"from": a, "to": b}))
        ratios["reversed"] = ("B = all", "B = 8")
        rows.append(Row("small batch over large", name, "reversed/λmax", MoreThan(1.0), 8, Role.CONTROL, True))
        parameters = {"runs": runs, "ratios": ratios, "starts": PAIRED[profile]}
        return Plan((Measurement(name, hessian_sizes, parameters, seconds=8 if profile == "quick" else 100, population=True),), tuple(rows))
