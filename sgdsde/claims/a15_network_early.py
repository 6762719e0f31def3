"""A15-network-early: and from the first step on? A weak error is the largest over the iterates, so the early ones count."""

from __future__ import annotations

from sgdsde.claim import Claim, Plan, Scale
from sgdsde.claims.a15_network import CITATION, CONDITIONS, plan_for


class NetworkEarly(Claim):
    """HA-SME against its rivals after one step, reference: the Gaussian surrogate."""

    id = "A15-network-early"
    title = "On a digits network HA-SME is closer to SGD after one step already"
    statement = (
        "The statement of A15-network for tr Cov θ after one step, as a weak error that is the largest over all iterates needs it. Reference: SGD with "
        "Gaussian noise of the minibatch's covariance."
    )
    citations = (CITATION,)
    conditions = CONDITIONS
    not_shown = (
        "The reason: within a step the models' noise meets the covariance and curvature of the places that the path has already reached, SGD's only those of "
        "the start; single-sample noise moves far enough in a step for that to outweigh HA-SME's correction. Larger batches."
    )
    size_name = "x = ηλmax at the start"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        return plan_for("surrogate", (), profile, seed, early=("tr Cov",))
