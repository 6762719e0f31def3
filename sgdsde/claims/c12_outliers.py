"""C12, C14, C16: outliers and bulk against classes, width and batch size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_sizes import hessian_sizes
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import MoreThan, Within

BASE: dict[str, Any] = {"classes": 10, "hidden": (20, 20), "batch": 32, "samples": 1_000, "standardize": False, "loss": 0.1}
CLASSES, HIDDEN, BATCHES = (2, 3, 5, 10), (8, 16, 30), (8, 64, 0)
SEEDS = {"quick": 1, "full": 4}
#: samples where widths and batch sizes are compared
SAMPLES = 1_000
#: "steady": within a factor of two
STEADY = Within(0.5, 2)
RULE = Condition("outliers are counted by a stated rule", "cut at the largest ratio of neighbouring eigenvalues of G")


class _Sizes:
    """What they share."""

    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}


def _starts(profile: str, seed: int, purpose: str) -> list[int]:
    rng = draws(seed, purpose)
    return [int(rng.integers(2**31)) for _ in range(SEEDS[profile])]


class OutliersAndClasses(_Sizes, Claim):
    """Outliers count the classes."""

    id = "C12"
    title = "The spectrum is a bulk near zero and about as many outliers as there are classes"
    statement = (
        "On digits in [0, 1] with c = 2, 3, 5, 10 classes, trained to loss .1, the largest ratio of neighbouring eigenvalues of G cuts off c−1 or c of them."
    )
    citations = (Citation("1706.04454v3", "outliers of the spectrum and the number of classes"), Citation("2010.04261v6", "c−1 outliers"))
    conditions = (RULE, Condition("inputs with a dominant mean", "pixels in [0, 1]; standardised inputs are the control"))
    not_shown = "Other rules: the largest difference finds fewer. Centred inputs, other stages of training: the count depends on rule and data."
    size_name = "classes c"

    def plan(self, profile: str, seed: int) -> Plan:
        runs, rows = {}, []
        name = "outliers and classes"
        for i, number in enumerate(_starts(profile, seed, self.id)):
            for c in CLASSES:
                runs[f"{c} classes, start {i + 1}"] = BASE | {"classes": c, "start": number}
                key = f"{c} classes, start {i + 1}/outliers"
                rows.append(Row(f"outliers, start {i + 1}", name, key, Within(c - 1, c), c, drawn=True, parameters={"c": c}))
        runs["standardised"] = BASE | {"standardize": True, "start": runs["10 classes, start 1"]["start"]}
        rows.append(Row("standardised inputs", name, "standardised/outliers", Within(9, 10), 10, Role.CONTROL, True, {"c": 10}))
        made = Measurement(name, hessian_sizes, {"runs": runs, "ratios": {}}, seconds=4 * len(runs))
        return Plan((made,), tuple(rows))


class WidthScalesBulk(_Sizes, Claim):
    """More parameters add to the bulk."""

    id = "C14"
    title = "More parameters only add eigenvalues near zero"
    statement = (
        "At equal loss a wider network has a larger share of eigenvalues near zero (below 1e-3 of the largest), while the largest stays within a factor of two."
    )
    citations = (Citation("1706.04454v3", "the bulk grows with the number of parameters, the outliers do not"),)
    conditions = (Condition("equal training loss", "the runs stop at loss .1"), RULE)
    not_shown = (
        "Depth, very wide networks, other losses; at 500 samples every row held at the same start. The number of outliers does not grow like the bulk: "
        "the control counts it."
    )
    size_name = "hidden units"

    def plan(self, profile: str, seed: int) -> Plan:
        runs, ratios, rows = {}, {}, []
        name = "outliers and width"
        for i, number in enumerate(_starts(profile, seed, self.id)):
            for hidden in HIDDEN:
                runs[f"{hidden} units, start {i + 1}"] = BASE | {"hidden": (hidden, hidden), "samples": SAMPLES, "start": number}
            for a, b in ((8, 16), (16, 30), (8, 30)):
                ratios[f"{a}→{b}, start {i + 1}"] = (f"{a} units, start {i + 1}", f"{b} units, start {i + 1}")
                where: dict[str, Any] = {"size": a + b / 100, "drawn": True, "parameters": {"from": a, "to": b}}
                rows.append(Row(f"share near zero, more, start {i + 1}", name, f"{a}→{b}, start {i + 1}/near zero", MoreThan(0.0), **where))
                rows.append(Row(f"λmax, ratio, start {i + 1}", name, f"{a}→{b}, start {i + 1}/λmax", STEADY, **where))
        rows.append(Row("outliers over width: as the parameters", name, "8→30, start 1/outliers", MoreThan(10.0), 30, Role.CONTROL, True))
        made = Measurement(name, hessian_sizes, {"runs": runs, "ratios": ratios}, seconds=5 * len(runs))
        return Plan((made,), tuple(rows))


class BatchScalesOutliers(_Sizes, Claim):
    """Larger batches, larger outliers."""

    id = "C16"
    title = "Larger batches end at larger outliers"
    statement = "At equal loss the largest eigenvalue grows with the batch size: B = 8, 64, all."
    citations = (Citation("1706.04454v3", "large and small batches: outliers differ in size, not in number"),)
    conditions = (Condition("equal training loss", "the runs stop at loss .05"), Condition("equal step size", "η = .1"))
    not_shown = "That the number of outliers is the same by every rule. Equal numbers of steps, or step sizes scaled with the batch."
    size_name = "batch size B"

    def plan(self, profile: str, seed: int) -> Plan:
        runs, ratios, rows = {}, {}, []
        name = "outliers and batch size"
        for i, number in enumerate(_starts(profile, seed, self.id)):
            for batch in BATCHES:
                runs[f"B = {batch or 'all'}, start {i + 1}"] = BASE | {"batch": batch, "samples": SAMPLES, "loss": 0.05, "start": number}
            for size, (a, b) in enumerate((("8", "64"), ("64", "all"), ("8", "all"))):
                ratios[f"{a}→{b}, start {i + 1}"] = (f"B = {a}, start {i + 1}", f"B = {b}, start {i + 1}")
                key = f"{a}→{b}, start {i + 1}/λmax"
                rows.append(Row(f"λmax, B = {b} over {a}, start {i + 1}", name, key, MoreThan(1.0), size + 1, drawn=True, parameters={"from": a, "to": b}))
        ratios["itself"] = ("B = 8, start 1", "B = 8, start 1")
        ratios["reversed"] = ("B = all, start 1", "B = 8, start 1")
        rows.append(Row("small batch over large", name, "reversed/λmax", MoreThan(1.0), 8, Role.CONTROL, True))
        made = Measurement(name, hessian_sizes, {"runs": runs, "ratios": ratios}, seconds=6 * len(runs))
        return Plan((made,), tuple(rows))
