"""C1–C3: exact facts about H, G and M of classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_identities import hessian_identities
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost

#: of a relative difference of two matrices computed in two ways
EQUAL = AtMost(1e-12)
CLASSES = 10
EXACT = {"quick": Scale.EXACT, "full": Scale.EXACT}


def problems(profile: str, seed: int) -> dict[str, dict[str, Any]]:
    """At initialisation and trained, ReLU; drawn ones; tanh as a control. All have more parameters than n(c−1)."""
    listed: dict[str, dict[str, Any]] = {
        f"n = {n}, step {steps}": {"samples": n, "components": 12, "hidden": (10, 10), "activation": "relu", "steps": steps, "start": n}
        for n, steps in ((12, 0), (20, 0), (20, 300), (25, 50))
    }
    rng = draws(seed, "C1")
    for i in range(2 if profile == "quick" else 10):
        width = int(rng.integers(8, 14))
        listed[f"drawn {i + 1}"] = {
            "samples": int(rng.integers(8, 24)),
            "components": int(rng.integers(12, 20)),
            "hidden": (width, width + 2),
            "activation": "relu",
            "steps": int(rng.integers(0, 200)),
            "start": int(rng.integers(2**31)),
        }
    return listed | {"tanh": {**listed["n = 20, step 300"], "activation": "tanh"}}


def plan(profile: str, seed: int, key: str, label: str, control: tuple[str, str, str]) -> Plan:
    """One row a ReLU network; the control is (label, problem, key)."""
    chosen = problems(profile, seed)
    measurement = Measurement("identities of Hessians", hessian_identities, {"problems": chosen}, seconds=1.4 if profile == "quick" else 5)
    rows = []
    for name, problem in chosen.items():
        zone = AtMost(problem["samples"] * (CLASSES - 1)) if key.startswith("rank") else EQUAL
        where = {"n": problem["samples"], "step": problem["steps"]}
        if name != "tanh":
            size = problem["samples"] + problem["steps"] / 1000
            rows.append(Row(f"{label}, {name}", measurement.name, f"{name}/{key}", zone, size, drawn=name.startswith("drawn"), parameters=where))
        if name == control[1]:
            rows.append(Row(control[0], measurement.name, f"{name}/{control[2]}", zone, problem["samples"], Role.CONTROL, parameters=where))
    return Plan((measurement,), tuple(rows))


class _Exact:
    """What the three share."""

    size_name = "samples n"
    scales: Mapping[str, Scale] = EXACT


class LogLoss(_Exact, Claim):
    """H = M − H_p."""

    id = "C1"
    title = "For log losses the Hessian is the second moment of gradients minus H_p"
    statement = "With ℓᵢ = −log pᵢ: H = M − H_p, M = (1/n)Σgᵢgᵢᵀ, H_p = (1/n)Σ(1/pᵢ)∇²pᵢ, at any point of any network, to rounding (relative 1e-12)."
    citations = (Citation("1907.10732v1", "the Hessian and the second moment of stochastic gradients: their relation for log losses"),)
    conditions = (Condition("log loss", "cross-entropy"), Condition("the probabilities are twice differentiable at the point", "almost everywhere for ReLU"))
    not_shown = "That H_p is small: it is not, unless the network is well calibrated in the mean. How H and M compare along training: C5 and C6."

    def plan(self, profile: str, seed: int) -> Plan:
        return plan(profile, seed, "log loss", "‖H − (M − H_p)‖/‖H‖", ("M alone", "n = 20, step 0", "without H_p"))


class LayerBlocks(_Exact, Claim):
    """Layer blocks of H and G."""

    id = "C2"
    title = "In piecewise-linear networks every layer block of H is that of G, so tr H = tr G"
    statement = "In a ReLU network the diagonal block of H on each weight or bias equals that of the Gauss–Newton matrix G, to rounding (relative 1e-12)."
    citations = (Citation("2010.04261v6", "layer-wise Hessians of piecewise-linear networks"), Citation("", "checked on dense matrices: this project's own"))
    conditions = (Condition("no unit stands on a kink", "almost surely at drawn points"), Condition("feed-forward, no weight used twice", "by construction"))
    not_shown = "Blocks between layers: there H and G differ (C4). Smooth activations: the control shows that their blocks differ."

    def plan(self, profile: str, seed: int) -> Plan:
        return plan(profile, seed, "blocks", "largest ‖H_ll − G_ll‖/‖G_ll‖", ("tanh in place of ReLU", "tanh", "blocks"))


class GaussNewtonRank(_Exact, Claim):
    """The rank of G."""

    id = "C3"
    title = "The Gauss–Newton matrix has rank at most n(c−1), the Hessian more"
    statement = "With n samples and c classes under cross-entropy rank G ≤ n(c−1), because each sample's output curvature has rank c−1."
    citations = (Citation("1706.04454v3", "the decomposition of the Hessian and the rank of its first part"),)
    conditions = (
        Condition("rank is counted at a tolerance", "1e-12 of the largest eigenvalue"),
        Condition("n(c−1) is below the number of parameters", "by construction"),
    )
    not_shown = "That G's rank is n(c−1): it can be lower. The outliers of the spectrum are far fewer (C12)."

    def plan(self, profile: str, seed: int) -> Plan:
        return plan(profile, seed, "rank G", "rank G", ("H in place of G", "n = 12, step 0", "rank H"))
