"""C19–C22: layer blocks of the Hessian and their Kronecker forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_layers import LAYERS, hessian_layers
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, MoreThan, Zone

STEPS = {"quick": (0, 1_000), "full": (0, 300, 1_000, 3_000, 10_000)}
STARTS = {"quick": 1, "full": 4}
#: "≈": off by less than half of the norm; "most of": more than half
HALF, MOST = LessThan(0.5), MoreThan(0.5)
CONDITIONS = (
    Condition("the network", "digits in [0, 1], n = 1,000, ReLU 64-20-20-10, SGD η = .1, B = 32; starts are drawn"),
    Condition("piecewise-linear units, so that H's blocks are G's", "C2"),
)
WU = Citation("2010.04261v6", "the decoupling conjecture and what follows from it")


def _plan(profile: str, seed: int, key: str, label: str, zone: Zone, control: tuple[str, str, int], layers: tuple[int, ...] = (0, 1, 2)) -> Plan:
    """A row for every start, step and layer (an index); the control is (label, key, layer): on standardised inputs, or of a random draw."""
    rng = draws(seed, "C19")
    steps = STEPS[profile]
    runs: dict[str, dict[str, Any]] = {
        f"start {i + 1}": {"start": int(rng.integers(2**31)), "steps": steps, "standardize": False} for i in range(STARTS[profile])
    }
    runs["standardised"] = {"start": int(rng.integers(2**31)), "steps": (1_000,), "standardize": True}
    made = Measurement("Kronecker forms of layers", hessian_layers, {"runs": runs}, seconds=20 if profile == "quick" else 200)
    names = list(LAYERS.values())
    rows = [
        Row(
            f"{label}, {names[at]}, step {step}, {run}",
            made.name,
            f"{run}/{step}/{names[at]}/{key}",
            zone,
            10 * step + at + 1,
            drawn=True,
            parameters={"k": step},
        )
        for run in list(runs)[:-1]
        for step in steps
        for at in layers
    ]
    words, other, at = control
    run = "start 1" if "random" in other else "standardised"
    rows.append(Row(words, made.name, f"{run}/1000/{names[at]}/{other}", zone, 10_001, Role.CONTROL, True, {"k": 1_000}))
    return Plan((made,), tuple(rows))


class _Layers:
    """What they share."""

    size_name = "10 × step + layer"
    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}


class DecouplingConjecture(_Layers, Claim):
    """E[M ⊗ xxᵀ] against E[M] ⊗ E[xxᵀ]."""

    id = "C19"
    title = "Layer-wise Hessians decouple: E[M ⊗ xxᵀ] is near E[M] ⊗ E[xxᵀ]"
    statement = "The relative Frobenius error of E[M] ⊗ E[xxᵀ] is below one half in every layer, at initialisation and trained."
    citations = (WU,)
    conditions = CONDITIONS
    not_shown = "A small error: trained layers are off by .3 to .5, and the best Kronecker product is hardly better. Standardised inputs break it: the control."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, seed, "error", "error", HALF, ("standardised inputs", "error", 0))


class KroneckerEigenspaces(_Layers, Claim):
    """Top eigenspaces of the block and its product."""

    id = "C20"
    title = "Top eigenspaces of a layer's Hessian and of its Kronecker form overlap"
    statement = "The top c−1 eigenvectors of the block and of E[M] ⊗ E[xxᵀ] span spaces with overlap above one half, in every layer."
    citations = (WU,)
    conditions = CONDITIONS
    not_shown = "That single eigenvectors agree. The random draw that is the control has overlap (c−1)/dim on average."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, seed, "overlap", "overlap", MOST, ("a random subspace", "overlap, random", 0))


class RankOneEigenvectors(_Layers, Claim):
    """Matricised eigenvectors."""

    id = "C21"
    title = "Top eigenvectors of a layer's Hessian are nearly rank one as matrices"
    statement = (
        "Reshaped to the layer's weight matrix a top eigenvector has most of its square norm in one singular direction: s₁²/Σs² above one half (mean of c−1)."
    )
    citations = (WU,)
    conditions = CONDITIONS
    not_shown = "Exact rank one. On standardised inputs the shares fall to .6–.8, still above one half: the control is a random vector."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, seed, "rank-one share", "share", MOST, ("random vectors", "rank-one share, random", 0))


class MeanDominates(_Layers, Claim):
    """E[xxᵀ] against E[x]E[x]ᵀ."""

    id = "C22"
    title = "The inputs' second moment is nearly that of their mean: E[xxᵀ] ≈ E[x]E[x]ᵀ"
    statement = "‖E[xxᵀ] − E[x]E[x]ᵀ‖/‖E[xxᵀ]‖ is below one half for the inputs of every layer."
    citations = (WU,)
    conditions = (CONDITIONS[0], Condition("inputs are non-negative", "pixels in [0, 1], and ReLU outputs"))
    not_shown = "Centred inputs: standardised ones are the control. Why rank-one structure survives there in part (C21)."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, seed, "second moment", "relative difference", HALF, ("standardised inputs", "second moment", 0))
