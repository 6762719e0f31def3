"""Where HA-SME exists: the real logarithm's domain and the positivity of Q over (ηλ₁, ηλ₂), the even-step model beside it, random noise by rank (claim A9)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel


def plane(stored: Stored, model: str, label: str) -> Panel:
    ((image,),) = [tuple(stored.table("where-ha-sme-exists")[f"{model}: Q ⪰ 0 up to"].values())]
    x, y, z = image.grid()
    field = Image(x, y, z, label, kind="reverse", contours=(0.7, 0.9, 0.99), low=0.5, high=1.0)
    texts = ((0.5, 1.75, "no real logarithm"),) if model == "HA-SME" else ()
    return Panel(model, "x₁ = ηλ₁", "x₂ = ηλ₂", (), image=field, aspect="equal", x_range=(-1.5, 2.5), y_range=(-1.5, 2.5), texts=texts)


def draw(stored: Stored) -> Sheet:
    *_, (title, curves) = stored.table("where-ha-sme-exists").items()
    # the stored label says rank; beyond d it is the number of vectors only
    shares = Panel(title, "vectors n / d", "share with Q ⪰ 0", tuple(c.series(label, label, kind="band") for label, c in curves.items()), log="x")
    return Sheet(
        (plane(stored, "HA-SME", ""), plane(stored, "even-step HA-SME", "largest correlation"), shares),
        columns=3,
        height=1.9,
        caption="Left and middle: the largest correlation of the noise in H's eigenbasis that leaves Q positive semi-definite, over the two values of ηλ. "
        "Lines at 0.7, 0.9, 0.99. Right: share of random Σ = GGᵀ/n with positive Q, G of n Gaussian vectors "
        "(so that Σ has rank n up to n = d), by the spectrum of ηH; bands are the ledger's intervals.",
    )


FIGURE = Figure(title="Where the Hessian-aware models exist", draw=draw, claims=("A9",))
