"""The atlas in twelve dimensions, where no deterministic oracle reaches: its predictions against coupled paths of SGD and the model."""

from __future__ import annotations

import pytest
import torch

import sgdsde as sg

DIM, ETA, PATHS = 12, 0.2, 20_000


def noise() -> sg.Noise:
    """Rippled parabola with weakly coupled coordinates; correlated noise that commutes with no Hessian."""
    A = torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / DIM**0.5
    covariance = 0.3 * (A @ A.T + 0.3 * torch.eye(DIM, dtype=torch.float64))
    return sg.noises.Gaussian(sg.objectives.PeriodicWell(DIM, curvature=1.0, amplitude=0.4, coupling=0.02), covariance)


@pytest.mark.parametrize("model", ["SME1", "SME2"])
def test_predictions_in_twelve_dimensions_hold(model: str) -> None:
    """Three test functions, z of 5 beside a tenth of the error itself (the prediction is of leading order): false alarm below 1e-5 for all; the standard errors
    resolve 1 % of the larger errors. Mutant: predictions made for half the step size miss in every function that is resolved at all.
    """
    source, start = noise(), torch.linspace(-1.5, 1.5, DIM, dtype=torch.float64)
    functions = {"f": source.objective.loss, "distance": lambda x: ((x - start) ** 2).sum(1), "θ1": lambda x: x[:, 0]}
    found = sg.atlas(source, ETA, start, models=[model], functions=functions)
    halved = sg.atlas(source, ETA / 2, start, models=[model], functions=functions, horizon=found.horizon)
    pair = sg.kernels.Coupled(sg.kernels.SGD(source, ETA), sg.kernels.Heun(getattr(sg.sdes, model)(source, ETA), ETA / 8))
    run = sg.simulate(pair, start, horizon=found.horizon, paths=PATHS, seed=1, progress=False)
    sgd, sde = (half[-1] for half in pair.split(run.states))
    missed = 0
    for name, function in functions.items():
        gap = function(sde) - function(sgd)
        error, bar = float(gap.mean()), float(gap.std()) / PATHS**0.5
        allowed = 5 * bar + 0.1 * abs(error)
        assert abs(found[model].predictions[name].error - error) < allowed, name
        missed += abs(halved[model].predictions[name].error - error) > allowed
    assert missed >= 2
