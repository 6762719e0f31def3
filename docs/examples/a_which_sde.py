"""
Which SDE describes my SGD?
===========================

The exact weak error of each model against the step size, in a double well started on its
slope. No path is simulated: on the line the laws of SGD and of the SDEs are propagated on a
grid, with the accuracy told.
"""

import numpy as np

import sgdsde as sg
from sgdsde.plots import Panel, Series, panel_figure

# %%
# The problem: f = θ⁴/4 − θ²/2, Gaussian noise of variance 0.25, a start at −1.3, SDE time
# 0.8.

noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
models = {
    "SME1": sg.sdes.SME1,
    "SME2": sg.sdes.SME2,
    "SPF": sg.sdes.SPF,
    "HASME": sg.sdes.HASME,
    "HASME3": sg.sdes.HASME3,
}
etas = np.array([0.0125, 0.025, 0.05, 0.1])
functions = {"mean": lambda theta: theta[:, 0], "square": lambda theta: theta[:, 0] ** 2}

errors = {
    float(eta): sg.oracles.weak_errors(
        models, noise, eta=float(eta), theta0=[-1.3], horizon=0.8, functions=functions
    )
    for eta in etas
}

# %%
# Straight lines in a doubly logarithmic picture: their slopes are the weak orders. Order 1
# for SME-1, 2 for SME-2, SPF and HA-SME, 3 for HA-SME-3.

panels = []
for name, title in (("mean", "E θ"), ("square", "E θ²")):
    series = [
        Series(
            model,
            model,
            etas,
            np.array([abs(float(errors[float(eta)][model].error[name])) for eta in etas]),
        )
        for model in models
    ]
    panels.append(
        Panel(
            f"Error of {title}, exact",
            "step size η",
            "|E φ(X) − E φ(θ)|",
            tuple(series),
            log="xy",
        )
    )
figure = panel_figure(panels)

# %%
# What the atlas says of the same question, at one step size and without a grid:

print(sg.atlas(noise, 0.1, [-1.3], models=["SME1", "SME2", "HASME", "HASME3"]))
