"""The measured H and Σ of trained networks put into the SDE models: stationary variances by eigendirection, and what Σ = c·H would say, over many data sets.

On each of many draws of digits the 18-parameter network descends to a minimum, where H and the minibatch covariance Σ are exact. (Starts on one data set end
in the same minimum, up to symmetry; minima differ by their data.) With H and Σ frozen there every model has a stationary covariance in closed form; V is
read in H's eigenbasis. "c·H" takes c = tr Σ/tr H: all the noise, spread like the curvature, so that SGD's variance would be ηc/(2−ηλ) in every direction.
Beside it: real minibatches, nothing frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import weighted_grad
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.digits_network import HIDDEN, RIDGE, TRAINING_STEP, initial, odd_digits, settle
from sgdsde.measurements.hessian_sizes import geometric_mean
from sgdsde.measurements.positivity import share
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import Quadratic, ShallowTanh
from sgdsde.oracles import stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.sdes import SME1, SPF, HASMEProduct
from sgdsde.types import DomainError, Estimate

MODELS = {"SME1": SME1, "SPF": SPF, "HASMEProduct": HASMEProduct}
WRITTEN = {"SME1": "SME-1", "SPF": "SPF", "HASMEProduct": "HA-SME, product", "cH": "SGD if Σ = cH"}
#: "wrong between directions": by more than this factor
FACTOR = 2.0
#: steps of full-batch descent before Newton's method
DESCENT = 500
#: relaxation times of the flattest direction before the first look, and between looks
BURN, BETWEEN = 4.0, 1.0


@dataclass(frozen=True)
class Minima:
    """A minimum for each data set: θ, eigenvalues (ascending) and eigenvectors of H, Σ in that basis; ``joined`` holds all samples, ``rows`` tells
    whose are whose.
    """

    joined: ShallowTanh
    rows: Tensor
    theta: Float[Tensor, "sets dim"]
    values: Float[Tensor, "sets dim"]
    basis: Float[Tensor, "sets dim dim"]
    sigma: Float[Tensor, "sets dim dim"]


def noise_join(*, seed: int, level: float, sets: int, samples: int, batch: int, x: Sequence[float], paths: int, looks: int) -> Measured:
    """For each x = ηλmax, with predicted variances over SGD's in H's eigenbasis at each of ``sets`` minima: ``x/model/worst``: the largest |ratio − 1| over
    all minima, ``x/model/least worst``: the smallest over minima; ``x/model/uneven``: the share of minima where the largest ratio is more than twice the
    smallest; ``x/HASMEProduct over SME1``: the largest ratio of their worsts; ``x/model/total``: total variance over that of real minibatch SGD (``paths``
    at each minimum), the geometric mean over minima.

    Raises:
        DomainError: the stationary point that training ends in is no minimum.
    """
    minima = minima_of(sets, samples, batch, seed)
    values, shares = minima.values, minima.sigma.diagonal(dim1=1, dim2=2) / minima.values
    notes = [
        f"{sets} minima: largest λ {float(values[:, -1].min()):.3g} to {float(values[:, -1].max()):.3g}, smallest {float(values[:, 0].min()):.3g} to "
        f"{float(values[:, 0].max()):.3g}; Σᵢᵢ/λᵢ over directions varies by a factor {float((shares.amax(1) / shares.amin(1)).median()):.3g} (median)"
    ]
    estimates: dict[str, Estimate] = {}
    panels = []
    for top in x:
        eta = top / values[:, -1]
        predicted = frozen(minima, eta)
        exact = predicted.pop("exact")
        real = real_variances(minima, eta, batch, paths, looks, seed)
        worst = {}
        for model, variances in predicted.items():
            ratio = variances / exact
            worst[model] = np.abs(ratio - 1).max(1)
            key = f"{top}/{model}"
            estimates[f"{key}/worst"] = exactly(float(worst[model].max()), 0.0)
            estimates[f"{key}/least worst"] = exactly(float(worst[model].min()), 0.0)
            estimates[f"{key}/uneven"] = share(int((ratio.max(1) > FACTOR * ratio.min(1)).sum()), sets, level=level)
            estimates[f"{key}/total"] = geometric_mean(variances.sum(1) / real.sum(1), level=level)
        estimates[f"{top}/HASMEProduct over SME1"] = exactly(float((worst["HASMEProduct"] / worst["SME1"]).max()), 0.0)
        total = predicted["HASMEProduct"].sum(1) / real.sum(1)
        notes.append(f"x = {top}: HA-SME's total over minibatch SGD's: {np.quantile(total, 0.1):.2f} to {np.quantile(total, 0.9):.2f} (10–90 % of minima)")
        panels.append(_panel(top, values.numpy(), predicted, real))
    conventions = f"SGD, minibatches of {batch} of {samples} samples with replacement, step k, η = x/λmax of each minimum, float64"
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=conventions)


def minima_of(sets: int, samples: int, batch: int, seed: int) -> Minima:
    """Train on each of ``sets`` draws of ``samples`` digits, from a start of its own.

    Raises:
        DomainError: a stationary point is no minimum.
    """
    whole = odd_digits()
    chosen = torch.cat([torch.randperm(len(whole), generator=stream(seed, "join data", i))[:samples] for i in range(sets)])
    joined = ShallowTanh(whole.x[chosen], whole.y[chosen], hidden=HIDDEN, ridge=RIDGE)
    rows = torch.arange(sets * samples).reshape(sets, samples)
    theta = initial(joined, seed % 2**63, sets)
    for _ in range(DESCENT):
        theta = theta - TRAINING_STEP * weighted_grad(joined, theta, None, rows)
    points, hessians, covariances = [], [], []
    for start, own in zip(theta, chosen.split(samples), strict=True):
        objective = ShallowTanh(whole.x[own], whole.y[own], hidden=HIDDEN, ridge=RIDGE)
        point = settle(objective, start[None])
        points.append(point[0])
        hessians.append(objective.facts.hessian(point)[0])  # type: ignore[misc]
        covariances.append(Minibatch(objective, batch).covariance(point)[0])
    values, basis = torch.linalg.eigh(torch.stack(hessians))
    if float(values.min()) <= 0:
        raise DomainError(f"The smallest eigenvalue at a stationary point is {float(values.min()):.3g}; it is no minimum.")
    sigma = basis.transpose(1, 2) @ torch.stack(covariances) @ basis
    return Minima(joined, rows, torch.stack(points), values, basis, (sigma + sigma.transpose(1, 2)) / 2)


def frozen(minima: Minima, eta: Float[Tensor, " sets"]) -> dict[str, Float[np.ndarray, "sets dim"]]:
    """Stationary variances by eigendirection with H and Σ frozen: ``exact`` (SGD's), each model's, and SGD's were Σ = cH."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("exact", *MODELS, "cH")}
    for values, sigma, step in zip(minima.values, minima.sigma, eta.tolist(), strict=True):
        quadratic = Quadratic(values)
        measured = Gaussian(quadratic, sigma)
        found["exact"].append(stationary_covariance(measured, step).diagonal().numpy())
        for name, model in MODELS.items():
            found[name].append(stationary_covariance(model(measured, step)).diagonal().numpy())
        proportional = Gaussian(quadratic, torch.diag(sigma.trace() / values.sum() * values))
        found["cH"].append(stationary_covariance(proportional, step).diagonal().numpy())
    return {name: np.stack(variances) for name, variances in found.items()}


def real_variances(minima: Minima, eta: Float[Tensor, " sets"], batch: int, paths: int, looks: int, seed: int) -> Float[np.ndarray, "sets dim"]:
    """Variances of minibatch SGD (with replacement) about its own mean over paths and late looks, in H's eigenbasis; each minimum on its own clock."""
    sets, samples = minima.rows.shape
    generator = stream(seed, "join paths")
    slowest = 1 / (eta * minima.values[:, 0])
    first, gap = (BURN * slowest).long() + 1, (BETWEEN * slowest).long() + 1
    last = first + (looks - 1) * gap
    theta = minima.theta[:, None].expand(-1, paths, -1).clone()  # [sets, paths, dim]
    seen: list[list[Tensor]] = [[] for _ in range(sets)]
    running = torch.arange(sets)
    for k in range(int(last.max()) + 1):
        for at in ((k >= first[running]) & ((k - first[running]) % gap[running] == 0)).nonzero()[:, 0].tolist():
            seen[int(running[at])].append(theta[at].clone())
        going = (last[running] > k).nonzero()[:, 0]
        if len(going) < len(running):
            running, theta = running[going], theta[going]
        drawn = torch.randint(samples, (len(running) * paths, batch), generator=generator) + samples * running.repeat_interleave(paths)[:, None]
        moved = weighted_grad(minima.joined, theta.flatten(0, 1), None, drawn).reshape(theta.shape)
        theta = theta - eta[running, None, None] * moved
    states = torch.stack([torch.stack(own) for own in seen]).flatten(1, 2)  # [sets, looks · paths, dim]
    rotated = (states - states.mean(1, keepdim=True)) @ minima.basis
    return np.asarray((rotated**2).sum(1) / (states.shape[1] - 1))


def _panel(top: float, values: np.ndarray, predicted: dict[str, np.ndarray], real: np.ndarray) -> Panel:
    """Medians over the minima, direction by direction in the order of eigenvalues; real SGD with what 80 % of the minima have."""
    place = np.median(values, 0)
    low, middle, high = np.quantile(real, (0.1, 0.5, 0.9), axis=0)
    series = [Series("SGD", "SGD, minibatches", place, middle, low, high, kind="points")]
    series += [Series(model, WRITTEN[model], place, np.median(variances, 0)) for model, variances in predicted.items()]
    title = f"Variance about minima, largest ηλ = {top}"
    return Panel(title, "eigenvalue λ of H", "stationary variance", tuple(series), log="xy", note=f"medians of {len(values)} minima; bars hold 80 %")
