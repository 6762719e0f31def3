"""D10: the PAC-Bayes bound rises with the share of random labels."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.shaped_bounds import shaped_bounds
from sgdsde.zone import MoreThan

SHARES, HIDDEN, SAMPLES = (0.0, 0.1, 0.2), 10, {"quick": 200, "full": 600}
SEEDS, DRAWS, SHAPES = 30, {"quick": 60, "full": 500}, ("diagonal", "Kronecker")
#: beside the shapes whose bounds must rise: the loosest, for the control
LOOSEST = "isotropic"
#: runs that cannot memorise their labels end here
MOST = {"quick": 3_000, "full": 6_000}
HIGHER = MoreThan(0.0)


class RandomLabels(Claim):
    """Bounds against label noise."""

    id = "D10"
    title = "The PAC-Bayes bound rises with random labels"
    statement = "With a larger share of labels replaced by random ones the bound on the error of networks trained on them is larger."
    citations = (
        Citation("1907.10732v1", "experiments with random labels: the bound orders them"),
        Citation("1703.11008v2", "the bound, on true and random labels"),
    )
    conditions = (
        Condition("the bound is for the labels trained on", "by construction: random labels are part of the sampled law"),
        Condition("99 % training accuracy", "not required: the step limit ends runs that cannot memorise; the notes have what was reached"),
    )
    not_shown = (
        "Shares so large that every bound is near one, where the difference has no room. A rise says that the bound sees the noise, not that it is tight."
    )
    size_name = "share of random labels"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        n = SAMPLES[profile]
        settings: dict[str, dict[str, Any]] = {f"{100 * share:g} %": {"samples": n, "hidden": HIDDEN, "shuffled": share} for share in SHARES}
        drawn = round(float(rng.uniform(0.06, 0.18)), 3)
        settings["drawn"] = {"samples": n, "hidden": HIDDEN, "shuffled": drawn}
        options = {"settings": settings, "seeds": SEEDS, "draws": DRAWS[profile], "names": (LOOSEST, *SHAPES), "most": MOST[profile]}
        measurement = Measurement("PAC-Bayes bounds on random labels", shaped_bounds, options, seconds=16 if profile == "quick" else 200)
        listed = [name for name in settings if name != "drawn"]
        rows = []
        for a, b in zip(listed[1:], listed[:-1], strict=True):
            share = settings[a]["shuffled"]
            where = {"share": share, "against": settings[b]["shuffled"], "n": n}
            rows += [Row(f"rise of the bound, {shape}", measurement.name, f"{a} − {b}/{shape}", HIGHER, share, parameters=where) for shape in SHAPES]
        where = {"share": drawn, "against": 0.0, "n": n}
        rows += [
            Row(f"rise of the bound, {shape}", measurement.name, f"drawn − {listed[0]}/{shape}", HIGHER, drawn, drawn=True, parameters=where)
            for shape in SHAPES
        ]
        key = f"{listed[0]}/diagonal − {LOOSEST}"
        rows.append(Row("another shape in place of other labels", measurement.name, key, HIGHER, 0.0, Role.CONTROL, parameters={"share": 0.0, "n": n}))
        return Plan((measurement,), tuple(rows))
