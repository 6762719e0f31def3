"""
Stationary variance on a quadratic
==================================

How large are SGD's fluctuations about a minimum, and which model has them right? On a
quadratic all is exact; a simulation confirms it.
"""

import numpy as np

import sgdsde as sg
from sgdsde.plots import Panel, Series, panel_figure

# %%
# Exact ratios to SGD's variance ησ²/(λ(2 − ηλ)), against x = ηλ.

x = np.linspace(0.02, 0.95, 60)
models = (sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SPF, sg.sdes.HASME)
lines = [
    Series(
        model.__name__,
        model.__name__,
        x,
        np.array([sg.oracles.stationary_variance_ratio(model, float(at)) for at in x]),
    )
    for model in models
]

# %%
# Heun paths of two of the models, each from its minimum for ten relaxation times, with 95 %
# intervals.

places, points = (0.2, 0.5, 0.8), []
for model in (sg.sdes.SME1, sg.sdes.HASME):
    found = []
    for at in places:
        noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        kernel = sg.kernels.Heun(model(noise, at), at / 16)
        ends = (
            sg.simulate(kernel, [0.0], horizon=round(10 / at) * at, paths=8000, seed=1)
            .states[-1, :, 0]
            .numpy()
        )
        exact = sg.oracles.stationary_covariance(noise, at).item()
        found.append(sg.stats.mean_estimate((ends - ends.mean()) ** 2 / exact))
    value, low, high = (
        np.array([getattr(estimate, part) for estimate in found])
        for part in ("value", "low", "high")
    )
    points.append(
        Series(model.__name__, "", np.array(places), value, low, high, kind="points")
    )

figure = panel_figure(
    [Panel("Stationary variance / SGD's", "x = ηλ", "ratio", (*lines, *points), level=1.0)],
    width=6,
)
