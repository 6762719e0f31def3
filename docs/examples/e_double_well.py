"""
Over a barrier: the better model loses
======================================

Exact on quadratics is not better everywhere. The mean crossing time of a double well,
looked at SGD's iterates, of each model over SGD's, by exact oracles: HA-SME is the
farthest.
"""

import numpy as np

import sgdsde as sg
from sgdsde.plots import Panel, Series, panel_figure

# %%
# From the left minimum over the top at 0; noise of standard deviation 1. Both oracles
# refuse where they are not accurate; a logarithm that is clipped far out in the tails costs
# some of it.

etas, region = (0.08, 0.1, 0.12, 0.15, 0.2), sg.regions.HalfSpace([1.0], 0.0)
models = {
    "SME1": sg.sdes.SME1,
    "SME2": sg.sdes.SME2,
    "SPF": sg.sdes.SPF,
    "HASME": sg.sdes.HASME,
    "HASME3": sg.sdes.HASME3,
}
clipped = {"SPF": {"log": "clip"}, "HASME": {"log": "clip"}, "HASME3": {"log": "clip"}}

ratios: dict[str, list[float]] = {name: [] for name in models}
noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 1.0)
for eta in etas:
    sgd = sg.oracles.sgd_mean_exit(noise, eta, [-1.0], region).mean
    for name, model in models.items():
        law = sg.oracles.skeleton_mean_exit(
            model(noise, eta, **clipped.get(name, {})), [-1.0], region, tolerance=1e-3
        )
        ratios[name].append(law.mean / sgd)

# %%
# A ratio of 1 is right. Why half a correction has its price:
# :doc:`/theory/fixed_temperature`.

series = tuple(
    Series(name, name, np.array(etas), np.array(ratios[name])) for name in models
)
figure = panel_figure(
    [Panel("Mean crossing time / SGD's", "step size η", "ratio", series, level=1.0)],
    width=6,
)
for name in models:
    print(f"{name:7}", "  ".join(f"{ratio:.3f}" for ratio in ratios[name]))
