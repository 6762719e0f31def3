"""Which SDE model to trust: a map over ηλ, noise and anharmonicity coloured by the model that the atlas names, and its errors against exact ones."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel, Series

STUDY = "atlas-map"
#: the regions by the study's numbers
NAMES = ("SME-1", "SME-2", "SPF", "HA-SME", "SME-3", "HA-SME-3", "even-step", "none")
LOOKS = {"SME-1": "SME1", "SME-2": "SME2", "SPF": "SPF", "HA-SME": "HASME", "SME-3": "SME3", "HA-SME-3": "HASME3", "even-step": "EvenStepHASME"}


def draw(stored: Stored) -> Sheet:
    study = stored.study(STUDY)
    panels = []
    for title, curves in study.table.items():
        series, image = [], None
        for label, curve in curves.items():
            if curve.z is not None:
                image = Image(*curve.grid(), kind="categories", names=NAMES)
            elif label in LOOKS:
                series.append(curve.series(LOOKS[label], label, kind="points"))
            elif label.startswith("advice"):
                series.append(curve.series("SGD", label, kind="points"))
            else:
                series.append(Series("GradientFlow", "", curve.x, curve.y))
        if image is not None:
            ends = {"x_range": (0.0, float(1.5 * image.x[-1] - 0.5 * image.x[-2])), "y_range": (0.0, float(1.5 * image.y[-1] - 0.5 * image.y[-2]))}
            panels.append(Panel(title, "largest ηλ", "gradient noise σ", tuple(series), image=image, **ends))
        else:
            panels.append(Panel(title, "exact worst error, sd", "predicted worst error, sd", tuple(series), log="xy"))
    config = study.config
    return Sheet(
        tuple(panels),
        height=2.3,
        caption="The model that the atlas names, over the largest ηλ and the noise, on rippled parabolas of growing anharmonicity "
        f"(start {config['start']}, horizon 16η). Dots: its exact error is more than {config['factor']:g} times that of the best model. Last panel: predicted "
        "against exact worst errors over f, the squared distance and θ, in standard deviations.",
    )


FIGURE = Figure(title="Atlas of validity: which SDE model to trust", draw=draw, studies=(STUDY,))
