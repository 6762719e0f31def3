"""A15-network-loss: and in what a practitioner looks at, E loss and the distance in function space?"""

from __future__ import annotations

from sgdsde.claim import Claim, Plan, Scale
from sgdsde.claims.a15_network import CITATION, CONDITIONS, plan_for


class NetworkLoss(Claim):
    """HA-SME against its rivals in E loss and function space, reference: the Gaussian surrogate."""

    id = "A15-network-loss"
    title = "On a digits network HA-SME is closer to SGD in E loss and in function space"
    statement = (
        "The statement of A15-network for E loss and for the mean squared change of the outputs on held-out digits since the start. Reference: SGD with "
        "Gaussian noise of the minibatch's covariance."
    )
    citations = (CITATION,)
    conditions = CONDITIONS
    not_shown = (
        "A law for E loss: at a fresh network, near a saddle, all second-order models miss the drift that curvature of the gradient gives the mean, and there "
        "SME-1's error happens to be small. The third-order models mend it (A14)."
    )
    size_name = "x = ηλmax at the start"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        return plan_for("surrogate", ("loss", "function"), profile, seed)
