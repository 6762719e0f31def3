"""C13 and C15: outliers on Gaussian blobs with few and many classes, and what harder data move, over many starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.c12_outliers import COUNTED, MOST, PAIRED, POPULATION
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_outliers import hessian_outliers
from sgdsde.measurements.hessian_sizes import hessian_sizes
from sgdsde.zone import MoreThan, Near

#: the paper's layers: 100-30-30-k
BLOBS: dict[str, Any] = {"classes": 10, "hidden": (30, 30), "batch": 32, "samples": 300, "loss": 0.1, "blobs": 100}
DIGITS: dict[str, Any] = {"classes": 10, "hidden": (16, 16), "batch": 32, "samples": 200, "loss": 0.1}
CLASSES = {"quick": (2, 5, 10), "full": (2, 5, 10, 20)}
SHARES = (0.2, 0.5, 1.0)


class _Data:
    """What they share."""

    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}


class OutliersOnBlobs(_Data, Claim):
    """Sagun's table."""

    id = "C13"
    title = "On Gaussian blobs with k classes the spectrum of a ReLU network has k or k−1 outliers"
    statement = (
        "Of most ReLU networks 100-30-30-k trained to loss .1 on k Gaussian blobs, k = 2, 5, 10, the largest ratio of neighbouring eigenvalues of G cuts off "
        "k−1 or k."
    )
    citations = (Citation("1706.04454v3", "table of outliers against classes on Gaussian blobs"),)
    conditions = (
        Condition("outliers are counted by a stated rule", "largest ratio of neighbours on G"),
        Condition("enough networks to speak of most", "64 in the quick profile: 50 or more of them show that it is most, 14 or fewer that it is not"),
        Condition("starts are independent", "each draws its blobs, initialisation and order of samples"),
    )
    not_shown = (
        "k up to 50. Every network: with ten blobs about half of them have another count, often one, the mean's. Smaller networks: with 20 inputs and 16-16 "
        "units less than a quarter have k−1 or k, for k = 5 and 10. Another rule counts otherwise. tanh units are the control."
    )
    size_name = "classes k"

    def plan(self, profile: str, seed: int) -> Plan:
        name = "outliers on blobs"
        runs: dict[str, dict[str, Any]] = {f"{k} blobs": BLOBS | {"classes": k, "starts": COUNTED[profile]} for k in CLASSES[profile]}
        rows = [Row("share of networks with k−1 or k", name, f"{k} blobs/c−1 or c", MOST, k, drawn=True, parameters={"k": k}) for k in CLASSES[profile]]
        runs["tanh"] = BLOBS | {"activation": "tanh", "starts": COUNTED[profile]}
        rows.append(Row("tanh units", name, "tanh/c−1 or c", MOST, 10, Role.CONTROL, True, {"k": 10}))
        made = Measurement(name, hessian_outliers, {"runs": runs}, seconds=10 if profile == "quick" else 60, population=True)
        return Plan((made,), tuple(rows))


class HarderData(_Data, Claim):
    """Random labels."""

    id = "C15"
    title = "Harder data move the outliers, not the bulk"
    statement = (
        "Redrawing a share of the labels more than doubles the typical network's λmax at equal loss (geometric mean of ratios, start by start), and changes "
        "the share of eigenvalues near zero by less than a tenth on average."
    )
    citations = (Citation("1706.04454v3", "the outliers depend on the data, the bulk on the architecture"),)
    conditions = (
        Condition("equal training loss", "the runs stop at loss .1"),
        Condition("same network, same inputs", "only labels differ, start by start"),
        POPULATION,
        Condition("enough networks", "32 in the quick profile resolve 15 % of λmax and .03 of the share"),
    )
    not_shown = (
        "Other ways of making data harder, and outliers by number. Redrawn labels raise λmax by a seventh to a fifth, by about what two starts on one kind of "
        "data differ. A factor of two is what C14 calls steady. The control is another population on true labels."
    )
    size_name = "share of labels redrawn"

    def plan(self, profile: str, seed: int) -> Plan:
        name, true = "outliers and random labels", "true labels"
        runs: dict[str, dict[str, Any]] = {true: DIGITS}
        ratios, rows = {}, []
        for share in SHARES:
            run = f"{share:g} redrawn"
            runs[run] = DIGITS | {"random labels": share}
            ratios[f"{run}, ratio"] = (true, run)
            where: dict[str, Any] = {"size": share, "drawn": True, "parameters": {"share": share}}
            rows.append(Row("λmax over that of true labels", name, f"{run}, ratio/λmax", MoreThan(2.0), **where))
            rows.append(Row("share near zero, more", name, f"{run}, ratio/near zero", Near(0.0, 0.1), **where))
        runs["other starts"] = DIGITS | {"again": " again"}
        ratios["other starts, ratio"] = (true, "other starts")
        rows.append(Row("other starts, true labels", name, "other starts, ratio/λmax", MoreThan(2.0), 0, Role.CONTROL, True))
        parameters = {"runs": runs, "ratios": ratios, "starts": PAIRED[profile]}
        return Plan((Measurement(name, hessian_sizes, parameters, seconds=10 if profile == "quick" else 60, population=True),), tuple(rows))
