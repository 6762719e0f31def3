"""C19–C22: layer blocks of the Hessian and their Kronecker forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_layers import LAYERS, hessian_layers
from sgdsde.zone import LessThan, MoreThan, Zone

STEPS = {"quick": (0, 1_000), "full": (0, 300, 1_000, 3_000, 10_000)}
#: networks of the population, those of the control, and samples of each
STARTS, FEW, SAMPLES = {"quick": 96, "full": 192}, 32, {"quick": 400, "full": 1_000}
#: "≈": off by less than half of the norm; "most of": more than half
HALF, MOST = LessThan(0.5), MoreThan(0.5)
CONDITIONS = (
    Condition("the networks", "digits in [0, 1], ReLU 64-20-20-10, SGD η = .1, B = 32; each start draws its samples, initialisation and order"),
    Condition("enough networks", "96 in the quick profile; means over them, resolved to about .02"),
    Condition("piecewise-linear units, so that H's blocks are G's", "C2"),
)
WU = Citation("2010.04261v6", "the decoupling conjecture and what follows from it")


def _plan(profile: str, key: str, label: str, zone: Zone, control: tuple[str, str, int]) -> Plan:
    """A row for every step and layer; the control is (label, key, layer as an index): on standardised inputs, or of a random draw."""
    runs: dict[str, dict[str, Any]] = {
        "pixels": {"starts": STARTS[profile], "steps": STEPS[profile], "standardize": False},
        "standardised": {"starts": FEW, "steps": (1_000,), "standardize": True},
    }
    parameters = {"runs": runs, "samples": SAMPLES[profile]}
    made = Measurement("Kronecker forms of layers", hessian_layers, parameters, seconds=10 if profile == "quick" else 120, population=True)
    names = list(LAYERS.values())
    rows = [
        Row(f"{label}, {name}, step {step}", made.name, f"pixels/{step}/{name}/{key}", zone, 10 * step + at, drawn=True, parameters={"k": step})
        for step in STEPS[profile]
        for at, name in enumerate(names, 1)
    ]
    words, other, at = control
    run = "pixels" if "random" in other else "standardised"
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
    statement = "On average over starts the relative Frobenius error of E[M] ⊗ E[xxᵀ] is below one half in every layer, at initialisation and trained."
    citations = (WU,)
    conditions = CONDITIONS
    not_shown = (
        "A small error: trained layers are off by .3 to .5, and the best Kronecker product is hardly better. Each network: the last layer's error is .48 on "
        "average and scatters about one half. Other numbers of samples. Standardised inputs break it: the control."
    )

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, "error", "error", HALF, ("standardised inputs", "error", 0))


class KroneckerEigenspaces(_Layers, Claim):
    """Top eigenspaces of the block and its product."""

    id = "C20"
    title = "Top eigenspaces of a layer's Hessian and of its Kronecker form overlap"
    statement = "The top c−1 eigenvectors of the block and of E[M] ⊗ E[xxᵀ] span spaces with overlap above one half on average over starts, in every layer."
    citations = (WU,)
    conditions = CONDITIONS
    not_shown = "That single eigenvectors agree. The random draw that is the control has overlap (c−1)/dim on average."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, "overlap", "overlap", MOST, ("a random subspace", "overlap, random", 0))


class RankOneEigenvectors(_Layers, Claim):
    """Matricised eigenvectors."""

    id = "C21"
    title = "Top eigenvectors of a layer's Hessian are nearly rank one as matrices"
    statement = (
        "Reshaped to the layer's weight matrix a top eigenvector has most of its square norm in one singular direction: s₁²/Σs² above one half (mean over "
        "c−1 vectors and over starts)."
    )
    citations = (WU,)
    conditions = CONDITIONS
    not_shown = "Exact rank one. On standardised inputs the shares fall to .6–.8, still above one half: the control is a random vector."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, "rank-one share", "share", MOST, ("random vectors", "rank-one share, random", 0))


class MeanDominates(_Layers, Claim):
    """E[xxᵀ] against E[x]E[x]ᵀ."""

    id = "C22"
    title = "The inputs' second moment is nearly that of their mean: E[xxᵀ] ≈ E[x]E[x]ᵀ"
    statement = "‖E[xxᵀ] − E[x]E[x]ᵀ‖/‖E[xxᵀ]‖ is on average over starts below one half for the inputs of every layer."
    citations = (WU,)
    conditions = (CONDITIONS[0], Condition("inputs are non-negative", "pixels in [0, 1], and ReLU outputs"))
    not_shown = "Centred inputs: standardised ones are the control. Why rank-one structure survives there in part (C21)."

    def plan(self, profile: str, seed: int) -> Plan:
        return _plan(profile, "second moment", "relative difference", HALF, ("standardised inputs", "second moment", 0))
