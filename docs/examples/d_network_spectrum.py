"""
The Hessian spectrum of my network
==================================

Bulk and outliers of a small network on scikit-learn's digits, before and after training:
which step sizes leave room for which models?
"""

import numpy as np
import torch

import sgdsde as sg
from sgdsde.plots import Panel, Series, panel_figure

# %%
# A network with one hidden layer, its parameters as one vector θ.

torch.manual_seed(0)
digits = sg.data.digits(count=300)
module = torch.nn.Sequential(
    torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
).double()
network = sg.objectives.Network(module, "cross_entropy", digits.x, digits.y)
start = network.flatten()

# %%
# 300 steps of SGD with batches of 32.

sgd = sg.kernels.SGD(sg.noises.Minibatch(network, 32), 0.2)
end = sg.simulate(sgd, start[None], horizon=60.0, seed=1).states[-1, 0]
print(f"loss {network.loss(start[None]).item():.2f} → {network.loss(end[None]).item():.2f}")

# %%
# The density by stochastic Lanczos quadrature; the ten largest eigenvalues exactly. About c
# − 1 = 9 of them stand out for ten classes.

panels = []
for title, theta in (("At the start", start), ("After training", end)):
    hessian = sg.curvature.hessian_operator(network, theta)
    top = sg.curvature.eigsh(hessian, k=10).values
    density = sg.curvature.spectral_density(hessian, steps=40, vectors=4, seed=0)
    grid = np.linspace(float(density.nodes.min()) - 0.2, 1.1 * float(top[0]), 400)
    height = density.smoothed(grid, 0.02 * float(top[0]))
    series = (
        Series(
            "SGD",
            "density (band: 95 %)",
            grid,
            height.value,
            np.maximum(height.low, 1e-5),
            height.high,
            kind="steps",
        ),
        Series("HASME", "ten largest", top.numpy(), np.full(10, 3e-4), kind="points"),
    )
    panels.append(
        Panel(title, "eigenvalue λ", "density", series, log="y", y_range=(1e-4, 30.0))
    )
    print(
        f"{title}: λmax = {float(top[0]):.2f}, HA-SME ends at η = {1 / float(top[0]):.3f}"
    )
figure = panel_figure(panels)
