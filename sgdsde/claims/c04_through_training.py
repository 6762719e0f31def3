"""C4–C7 and C17: H, G and the second moment of gradients along training of the reference network."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_training import TOP, hessian_training
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, MoreThan, Within, Zone

STEPS = {"quick": (0, 300, 3_000, 10_000), "full": (0, 300, 1_000, 3_000, 10_000)}
STARTS = {"quick": 1, "full": 4}
#: "tends to zero": by an order of magnitude over the run; "most of": more than half
A_TENTH, SMALLER, MOST = LessThan(0.1), LessThan(1.0), MoreThan(0.5)
NETWORK = Condition("the network", "digits in [0, 1], n = 1,000, ReLU 64-20-20-10, SGD η = .1, B = 32, float64; starts are drawn")


def measurement(profile: str, seed: int) -> Measurement:
    """One for all of these claims."""
    rng = draws(seed, "C4")
    starts = tuple(int(rng.integers(2**31)) for _ in range(STARTS[profile]))
    return Measurement("Hessian along training", hessian_training, {"starts": starts, "steps": STEPS[profile]}, seconds=30 * len(starts))


class _Training:
    """What they share."""

    size_name = "training step"
    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}

    def _plan(self, profile: str, seed: int, wanted: list[tuple[str, str, tuple[int, ...], Zone, Role]]) -> Plan:
        """Rows (label, key, checkpoints by index, zone, role) for every start; in a key {first} and {step} are filled in."""
        made, steps = measurement(profile, seed), STEPS[profile]
        rows = [
            Row(
                f"{label}, start {i + 1}",
                made.name,
                f"start {i + 1}/" + key.format(first=steps[0], step=steps[at]),
                zone,
                steps[at],
                role,
                True,
                {"k": steps[at]},
            )
            for i in range(STARTS[profile])
            for label, key, places, zone, role in wanted
            for at in range(len(steps))
            if at in places or at - len(steps) in places
        ]
        return Plan((made,), tuple(rows))


class ToGaussNewton(_Training, Claim):
    """H → G."""

    id = "C4"
    title = "As training goes on the Hessian tends to the Gauss–Newton matrix"
    statement = "‖H−G‖/‖H‖ is smaller at every checkpoint than at initialisation, and at the end less than a tenth of what it was."
    citations = (Citation("1706.04454v3", "the second part of the decomposition vanishes where the residuals do"),)
    conditions = (NETWORK, Condition("the loss goes to zero", "the notes have it"))
    not_shown = "A monotone decrease: between checkpoints it can rise. Networks that cannot fit their data. M does not tend to H: it is the control."

    def plan(self, profile: str, seed: int) -> Plan:
        key = "{first}→{step}/‖H−G‖/‖H‖"
        return self._plan(
            profile,
            seed,
            [
                ("against initialisation", key, (1, 2, -2), SMALLER, Role.CLAIM),
                ("at the end, against initialisation", key, (-1,), A_TENTH, Role.CLAIM),
                ("M in place of G", "{first}→{step}/‖H−M‖/‖H‖", (-1,), A_TENTH, Role.CONTROL),
            ],
        )


class TopEigenspaces(_Training, Claim):
    """Overlap of H's and M's top eigenspaces."""

    id = "C5"
    title = "In trained networks the top eigenspaces of H and of the gradients' second moment align"
    statement = f"Once trained the top {TOP} eigenvectors of H and of M span spaces with overlap (mean squared cosine) above one half."
    citations = (Citation("1907.10732v1", "top eigenspaces of the Hessian and of the second moment of stochastic gradients"),)
    conditions = (NETWORK,)
    not_shown = "Alignment at initialisation (overlap about a third). That the eigenvalues are equal: they are not (C6)."

    def plan(self, profile: str, seed: int) -> Plan:
        return self._plan(
            profile,
            seed,
            [("overlap", "{step}/overlap", (1, 2, -2, -1), MOST, Role.CLAIM), ("a random subspace", "{step}/overlap, random", (-1,), MOST, Role.CONTROL)],
        )


class NoiseScale(_Training, Claim):
    """tr M over tr H."""

    id = "C6"
    title = "The noise follows the Hessian in direction, not in scale: Σ = cH with constant c fails"
    statement = "tr M/tr H falls along training, at the end to less than a tenth of its value at initialisation, while the top eigenspaces stay aligned."
    citations = (Citation("2010.04261v6", "the Hessian and the covariance of gradients"), Citation("", "the scale along training: this project's own"))
    conditions = (NETWORK, Condition("M stands for the noise", "Σ = M − μμᵀ; the gradient μ is small once trained"))
    not_shown = "What an SDE built on Σ = cH predicts: C6-join. Losses with weight decay or noisy labels, where M does not vanish."

    def plan(self, profile: str, seed: int) -> Plan:
        return self._plan(
            profile,
            seed,
            [
                ("tr M/tr H against initialisation", "{first}→{step}/tr M/tr H", (1, 2, -2), SMALLER, Role.CLAIM),
                ("at the end, against initialisation", "{first}→{step}/tr M/tr H", (-1,), A_TENTH, Role.CLAIM),
                ("overlap of the top eigenspaces", "{step}/overlap", (-2, -1), MOST, Role.CLAIM),
                ("tr G in place of tr M", "{first}→{step}/tr G/tr H", (-1,), A_TENTH, Role.CONTROL),
            ],
        )


class DiagonalExponent(_Training, Claim):
    """γ in Mᵢᵢ ~ Gᵢᵢ^γ."""

    id = "C7"
    title = "Coordinate by coordinate the noise is a power of the curvature with exponent 1 to 2"
    statement = "The least-squares slope γ of log Mᵢᵢ on log Gᵢᵢ over the coordinates lies between 1 and 2 at every checkpoint."
    citations = (Citation("2010.04261v6", "diagonal of the covariance against that of the Hessian"),)
    conditions = (NETWORK, Condition("coordinates with a dead input are left out", "below 1e-12 of the largest"))
    not_shown = "That one power law describes all coordinates: γ is the slope of a line through a cloud. Larger networks."

    def plan(self, profile: str, seed: int) -> Plan:
        zone = Within(1, 2)
        return self._plan(
            profile,
            seed,
            [("γ", "{step}/slope", (0, 1, 2, 3, 4), zone, Role.CLAIM), ("shuffled coordinates", "{step}/slope, shuffled", (-1,), zone, Role.CONTROL)],
        )


class NegativeEigenvalues(_Training, Claim):
    """−λmin/λmax."""

    id = "C17"
    title = "Negative eigenvalues shrink along training"
    statement = "−λmin/λmax is smaller at every checkpoint than at initialisation, and at the end less than a tenth of what it was."
    citations = (Citation("1706.04454v3", "the negative part of the spectrum"),)
    conditions = (NETWORK,)
    not_shown = (
        "That they are gone: they stay until the residuals vanish. A monotone decrease. H − G, which carries them, keeps a symmetric spectrum: the control."
    )

    def plan(self, profile: str, seed: int) -> Plan:
        key = "{first}→{step}/−λmin/λmax"
        return self._plan(
            profile,
            seed,
            [
                ("against initialisation", key, (1, 2, -2), SMALLER, Role.CLAIM),
                ("at the end, against initialisation", key, (-1,), A_TENTH, Role.CLAIM),
                ("H − G in place of H", key + ", H−G", (-1,), A_TENTH, Role.CONTROL),
            ],
        )
