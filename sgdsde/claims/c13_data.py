"""C13 and C15: outliers on Gaussian blobs with few and many classes, and what harder data move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_sizes import hessian_sizes
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import MoreThan, Near, Within

BASE: dict[str, Any] = {"classes": 10, "hidden": (16, 16), "batch": 32, "samples": 300, "standardize": False, "loss": 0.1}
CLASSES = {"quick": (2, 5, 10), "full": (2, 5, 10, 20)}
SHARES = (0.2, 0.5, 1.0)
SEEDS = {"quick": 1, "full": 4}


class _Data:
    """What they share."""

    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}


def _starts(profile: str, seed: int, purpose: str) -> list[int]:
    rng = draws(seed, purpose)
    return [int(rng.integers(2**31)) for _ in range(SEEDS[profile])]


class OutliersOnBlobs(_Data, Claim):
    """Sagun's table."""

    id = "C13"
    title = "On Gaussian blobs with k classes the spectrum of a ReLU network has k or k−1 outliers"
    statement = "A ReLU network trained to loss .1 on k Gaussian blobs has k−1 or k eigenvalues of G before the largest ratio of neighbours, k = 2, 5, 10."
    citations = (Citation("1706.04454v3", "table of outliers against classes on Gaussian blobs"),)
    conditions = (
        Condition("outliers are counted by a stated rule", "largest ratio of neighbours on G"),
        Condition("size", "inputs of dimension 20, 16-16 units"),
    )
    not_shown = "The paper's sizes (100-30-30-k, k up to 50). The rule decides: another one counts otherwise. tanh units are the control."
    size_name = "classes k"

    def plan(self, profile: str, seed: int) -> Plan:
        runs, rows, name = {}, [], "outliers on blobs"
        for i, number in enumerate(_starts(profile, seed, self.id)):
            for k in CLASSES[profile]:
                run = f"{k} blobs, start {i + 1}"
                runs[run] = BASE | {"classes": k, "blobs": 20, "start": number}
                rows.append(Row(f"outliers, start {i + 1}", name, f"{run}/outliers", Within(k - 1, k), k, drawn=True, parameters={"k": k}))
        runs["tanh"] = BASE | {"classes": 10, "blobs": 20, "activation": "tanh", "start": runs["10 blobs, start 1"]["start"]}
        rows.append(Row("tanh units", name, "tanh/outliers", Within(9, 10), 10, Role.CONTROL, True, {"k": 10}))
        return Plan((Measurement(name, hessian_sizes, {"runs": runs, "ratios": {}}, seconds=2 * len(runs)),), tuple(rows))


class HarderData(_Data, Claim):
    """Random labels."""

    id = "C15"
    title = "Harder data move the outliers, not the bulk"
    statement = "Redrawing a share of the labels more than doubles λmax at equal loss, and changes the share of eigenvalues near zero by less than a tenth."
    citations = (Citation("1706.04454v3", "the outliers depend on the data, the bulk on the architecture"),)
    conditions = (Condition("equal training loss", "the runs stop at loss .1"), Condition("same network, same inputs", "only labels differ"))
    not_shown = "Other ways of making data harder. The control compares two starts on the same data."
    size_name = "share of labels redrawn"

    def plan(self, profile: str, seed: int) -> Plan:
        runs, ratios, rows, name = {}, {}, [], "outliers and random labels"
        for i, number in enumerate(_starts(profile, seed, self.id)):
            true = f"true labels, start {i + 1}"
            runs[true] = BASE | {"start": number}
            for share in SHARES:
                run = f"{share:g} redrawn, start {i + 1}"
                runs[run] = BASE | {"start": number, "random labels": share}
                ratios[run + ", ratio"] = (true, run)
                where: dict[str, Any] = {"size": share, "drawn": True, "parameters": {"share": share}}
                rows.append(Row(f"λmax over that of true labels, start {i + 1}", name, f"{run}, ratio/λmax", MoreThan(2.0), **where))
                rows.append(Row(f"share near zero, more, start {i + 1}", name, f"{run}, ratio/near zero", Near(0.0, 0.1), **where))
        runs["another start"] = BASE | {"start": _starts(profile, seed + 1, self.id)[0]}
        ratios["another start, ratio"] = ("true labels, start 1", "another start")
        rows.append(Row("another start, true labels", name, "another start, ratio/λmax", MoreThan(2.0), 0, Role.CONTROL, True))
        return Plan((Measurement(name, hessian_sizes, {"runs": runs, "ratios": ratios}, seconds=4 * len(runs)),), tuple(rows))
