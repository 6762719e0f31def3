"""
Leaving a saddle
================

When does SGD leave a strict saddle, and which SDE says so? Survival curves P(τ > k), looked
at SGD's iterates, with 95 % bands.
"""

import sgdsde as sg
from sgdsde.plots import Panel, Series, panel_figure

# %%
# A saddle with curvature −1 and 1, noise of variance 10⁻⁴, step size 0.3; the region is a
# ball of radius 0.5 about it.

eta, region = 0.3, sg.regions.Ball([0.0, 0.0], 0.5)
noise = sg.noises.Gaussian(sg.objectives.StrictSaddle(2), 1e-4)
kernels = {"SGD": sg.kernels.SGD(noise, eta)}
kernels |= {
    model.__name__: sg.kernels.Heun(model(noise, eta), eta / 8)
    for model in (sg.sdes.SME1, sg.sdes.SME2, sg.sdes.HASME)
}

exits = {
    name: sg.exit_times(kernel, [0.0, 0.0], region=region, horizon=15.0, paths=2000, seed=1)
    for name, kernel in kernels.items()
}

# %%
# The law predicts the mean: ½ + [ln(2(m² − 1)R²/s²) + γ]/(2 ln m) steps, m = 1 + ημ.

steps = sg.oracles.saddle_steps(1 + eta, 0.5 / (eta * 1e-2))
for name, found in exits.items():
    mean = found.restricted_mean(15.0)
    print(f"{name:6} {mean.value / eta:6.2f} steps ± {mean.stderr / eta:.2f}")
print(f"by the law, for SGD: {steps:.2f} steps")

# %%

series = []
for name, found in exits.items():
    curve = found.survival()
    series.append(
        Series(
            name,
            name,
            curve.times / eta,
            curve.probability,
            curve.low,
            curve.high,
            kind="steps",
        )
    )
figure = panel_figure(
    [Panel("Still at the saddle", "steps k", "P(τ > k)", tuple(series))], width=6
)
