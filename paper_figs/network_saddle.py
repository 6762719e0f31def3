"""Exit from a saddle of a digits network against the batch size, when and whereto: SGD, models, the local HA-SME's exact law (study network-saddle)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

LOOKS = {
    "minibatch SGD": "SGD",
    "Gaussian surrogate": "PrincipalFlow",
    "linear world": "SVAG",
    "local HA-SME, exact": "EvenStepHASME",
    "the same, isotropic noise": "GradientFlow",
}


def draw(stored: Stored) -> Sheet:
    study = stored.study("network-saddle")
    x, radius, longest = study.config["x"], study.config["radius"], study.config["longest"]
    times = study.table[f"Mean exit, ηλmax = {x:g}, R = {radius:g}"]
    sides = study.table["Direction at the exit"]
    return Sheet(
        (
            Panel("Mean exit", "batch size B", "steps", times.drawn(LOOKS), log="x"),
            Panel("Direction at the exit", "batch size B", "E sin² of the angle to u", sides.drawn(LOOKS), log="x"),
        ),
        height=2.4,
        caption=f"From a saddle of an 18-parameter digits network, ηλmax = {x:g}, out of |u·(θ − θ*)| < {radius:g} along its one negative direction u, looked "
        f"at iterates, censored at {longest} steps. Linear world: SGD on the quadratic at θ* with the noise frozen there. Exact: mean exit of the local "
        "HA-SME with the measured H and Σ, and with noise tr Σ/d in its place. With strong noise (small B) the nonlinear terms hold the paths back. HA-SME "
        "leaves more sideways: paths pass ηλ = 1, where its diffusion is singular (clipped). Bands: 95 %.",
    )


FIGURE = Figure(title="Escape from a saddle of a digits network", draw=draw, studies=("network-saddle",))
