"""B15: the mean exit of HA-SME and the other models from a saddle of a digits network, watched at iterates like SGD."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.network_saddles import model_exits
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, Near

RADIUS, LONGEST = 0.15, 60
#: at x = .9 the spread of exits is widest: the quick profile has not the paths to decide it
LISTED = {"quick": ((0.8, 128), (0.7, 128)), "full": ((0.9, 64), (0.6, 64), (0.9, 256))}
SIZE = {"quick": {"paths": 500, "substeps": 2}, "full": {"paths": 4000, "substeps": 4}}
#: rivals that are run; SME-1's growth e^{ημ} exceeds 1 + ημ, so that it should leave early
RIVALS = {"quick": (), "full": ("SME1", "SME2", "SPF")}
SAME, EARLY = Near(1.0, 0.1), LessThan(1.0)


class NetworkSaddleModels(Claim):
    """Exit times of models from a network's saddle."""

    id = "B15"
    title = "HA-SME leaves a network's saddle when SGD does"
    statement = (
        "Started at a saddle of a digits network, watched at iterates, HA-SME's mean of min(exit, 60 steps) from a slab along the negative direction is "
        "SGD's within a tenth; so are SME-2's and SPF's, while SME-1, whose growth e^{ημ} exceeds 1 + ημ, leaves early. Reference: the Gaussian surrogate."
    )
    citations = (
        Citation("2405.18373v3", "escape from saddles by HA-SME, there on quadratics"),
        Citation("", "at a saddle of a network: this project's own"),
    )
    conditions = (
        Condition("stationary, one eigenvalue clearly negative, noise along it", "checked where the saddle is found; the notes have them"),
        Condition("ηλ < 1 and Q positive", "clipped and projected where not; at x = .9 paths do pass ηλ = 1"),
    )
    not_shown = (
        "A ranking: ημ is .13 at most while ηλmax is .9, so that SME-2, SPF and HA-SME differ by less than a step. The quick profile runs HA-SME only. "
        "Symmetric saddles (B15-symmetric)."
    )
    size_name = "x = ηλmax"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {f"x = {x}, B = {batch}": {"x": x, "batch": batch, "radius": RADIUS} for x, batch in LISTED[profile]}
        settings["drawn"] = {"x": round(float(rng.uniform(0.7, 0.85)), 3), "batch": int(rng.integers(64, 200)), "radius": RADIUS}
        models = (*RIVALS[profile], "HASME", "PrincipalFlow")
        options = {"settings": settings, "models": models, "longest": LONGEST, **SIZE[profile]}
        measurement = Measurement(
            "saddle of a digits network, models", model_exits, options, seconds=len(models) * len(settings) * SIZE[profile]["paths"] / 130
        )
        rows = []
        for name, setting in settings.items():
            shared: dict[str, Any] = {"drawn": name == "drawn", "parameters": {"x": setting["x"], "B": setting["batch"], "R": RADIUS}}
            for model in models[:-1]:
                zone = EARLY if model == "SME1" else SAME
                rows.append(Row(f"{model}: mean exit over the surrogate's", measurement.name, f"{name}/{model}", zone, setting["x"], **shared))
                if profile == "full":
                    rows.append(Row(f"{model}: mean exit over minibatch SGD's", measurement.name, f"{name}/{model}/batch", zone, setting["x"], **shared))
            rows.append(Row("principal flow (HA-SME without noise)", measurement.name, f"{name}/PrincipalFlow", SAME, setting["x"], Role.CONTROL, **shared))
        return Plan((measurement,), tuple(rows))
