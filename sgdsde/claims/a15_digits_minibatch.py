"""A15-batch: the same question against true minibatch SGD, whose noise is not Gaussian."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Scale
from sgdsde.claims.a15_digits import plan_for


class DigitsMinibatch(Claim):
    """HA-SME against its rivals on digits, reference: minibatch SGD."""

    id = "A15-batch"
    title = "On real digits HA-SME is closer to true minibatch SGD too"
    statement = (
        "The statement of A15-small with minibatch SGD itself as the reference: batches drawn with replacement from the digits. The error of a model then "
        "holds what no Gaussian model can mend (minibatch minus surrogate) beside its own."
    )
    citations = (Citation("2405.18373v3", "abstract: experiments on neural-network losses confirm the smaller error; here at the smallest real size"),)
    conditions = (
        Condition("ηλ < 1 along the paths", "η‖H‖ ≤ .8, because the Hessian is largest at θ = 0"),
        Condition("no path leaves HA-SME's domain (Q positive) or diverges", "a row for each setting"),
        Condition("minibatch and surrogate are independent ensembles", "by construction; eight times the paths, with control variates from the linear world"),
    )
    not_shown = (
        "Which part of an error is due to the noise's law: compare with A15-small. The intervals are wider than there, because minibatches share no Brownian "
        "motion with the models, so that small errors (E loss at small η) stay open in a quick run. Loaders that shuffle (A19)."
    )
    size_name = "step size η"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        return plan_for("minibatch", profile, seed)
