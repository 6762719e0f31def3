"""C25: batch normalisation weakens the Kronecker structure of the layers behind it."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_batch_norm import hessian_batch_norm
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtLeast, LessThan, MoreThan

LOSSES = {"quick": (0.1,), "full": (0.3, 0.1, 0.02)}
HIDDEN, SEEDS, SAMPLES, MOST = {"quick": (12, 12), "full": (20, 20)}, {"quick": 30, "full": 60}, {"quick": 500, "full": 1_000}, 8_000
#: what BatchNorm does to each number if it weakens the structure
WEAKER = {
    "error": (MoreThan(1.0), "error of E[M] ⊗ E[xxᵀ]"),
    "overlap": (LessThan(1.0), "overlap of block's and product's top eigenspaces"),
    "rank-one share": (LessThan(1.0), "rank-one share of top eigenvectors"),
    "second moment": (MoreThan(1.0), "distance of E[xxᵀ] from E[x]E[x]ᵀ"),
}


class BatchNormWeakens(Claim):
    """C19–C22 with BatchNorm over the same without."""

    id = "C25"
    title = "Batch normalisation weakens the Kronecker structure of the layers behind it"
    statement = (
        "In layers whose inputs come through BatchNorm the error of E[M] ⊗ E[xxᵀ] is larger than in a plain network at the same training loss, top eigenspaces "
        "of block and product overlap less, top eigenvectors are farther from rank one as matrices, and E[xxᵀ] is farther from E[x]E[x]ᵀ."
    )
    citations = (Citation("2010.04261v3", "abstract: some of these structures become weaker when the network is trained with batch normalisation"),)
    conditions = (
        Condition("each sample has a curvature of its own", "evaluation mode: BatchNorm frozen at the statistics of the training set where training stopped"),
        Condition("equal training loss", "both kinds stop at it; a row for each: 95 % of the seeds reach it"),
    )
    not_shown = (
        "Training mode, where the loss of a batch is no mean over samples and no layer has a Kronecker mean. BatchNorm behind ReLU; convolutions. That "
        "nothing is left: overlaps of .4 are far above chance. The inputs of the first layer are the data with or without BatchNorm: the control."
    )
    size_name = "10 × loss level + layer"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        drawn = round(float(draws(seed, self.id).uniform(0.03, 0.09)), 4)
        losses = tuple(sorted((*LOSSES[profile], drawn), reverse=True))
        options: dict[str, Any] = {"seeds": SEEDS[profile], "samples": SAMPLES[profile], "hidden": HIDDEN[profile], "losses": losses, "most": MOST}
        made = Measurement("layers behind BatchNorm", hessian_batch_norm, options, seconds=15 if profile == "quick" else 300)
        rows = []
        for place, loss in enumerate(losses):
            was_drawn = loss == drawn
            where = {} if was_drawn else {"loss": loss}
            rows += [
                Row(f"{words}, over plain, layer {n}", made.name, f"{loss:g}/layer {n}/{name}", zone, 10 * place + n, drawn=was_drawn, parameters=where)
                for n in (2, 3)
                for name, (zone, words) in WEAKER.items()
            ]
            rows += [
                Row(f"share of seeds that stop, {kind}", made.name, f"{loss:g}/{kind}/reached", AtLeast(0.95), 10 * place, Role.CONDITION, was_drawn, where)
                for kind in ("plain", "BatchNorm")
            ]
        zone, words = WEAKER["second moment"]
        loss = LOSSES[profile][-1]
        rows.append(Row(f"{words}, first layer", made.name, f"{loss:g}/layer 1/second moment", zone, 1, Role.CONTROL, parameters={"loss": loss}))
        return Plan((made,), tuple(rows))
