"""Martingales as control variates: SGD and an integrator on one Brownian motion, and beside them what their noise has done to the expected observable.

    φ(X_K) − E φ(X_K) = Σ_j [u_{j+1}(X_{j+1}) − E(u_{j+1}(X_{j+1}) | X_j)],  u_j(x) = E[φ(X_K) | X_j = x]

is a sum of martingale differences, so with u known a mean would cost nothing (Newton, SIAM J. Appl. Math. 54, 1994; Milstein, Tretyakov, Stochastic Numerics
for Mathematical Physics, 2004). With u only near (``value_function``) and each difference replaced by its terms of first and second order in the kick N,

    C = Σ_j (p_j + B_j(X_j − m_j))·N_j + ½(N_jᵀP_jN_j − tr P_jQ(X_j)),   E C = 0 exactly, because p, B, P are constants and E[N_jN_jᵀ | X_j] = Q(X_j)

for the integrator, and the same for SGD. Neither a second world nor a moment of one is needed: state-dependent noise and curvature are in it through N and Q
of the very paths. What is left of the variance is the curvature of u beyond the second order. No path-step is added; a step costs the trace and a few products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from sgdsde.calculus import grad
from sgdsde.control_variate import controlled
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.sgd import SGD
from sgdsde.noises.surrogate import DENSE_DIM
from sgdsde.rng import normals
from sgdsde.sde import SDE
from sgdsde.types import Conventions, Estimate, InputError, as_points, tallying
from sgdsde.value_function import Target, tick_values

#: relative difference of a stated covariance and the one of the kicks that rounding and Krylov spaces may leave
_AGREE = 1e-4


class MartingaleControl(Kernel):
    """``Coupled(sgd, model)`` with two martingales a target: states are SGD's θ, the model's X, then the model's martingales and SGD's, ``[P, 2·dim + 2·m]``.

    It draws what ``Coupled`` draws and its paths are the same to the last digit. ``anchor [dim]`` is where the expansions begin: the paths' start; another
    start leaves the expectations at zero and costs efficiency. The martingales of a target stop at its tick.

    Raises:
        InputError: as ``Coupled``; the model is no ``Heun``; more than ``DENSE_DIM`` parameters (a covariance is wanted at every step); bad targets; a
            model's ``diffusion`` or a noise's ``covariance`` that is not that of its kicks.
        DomainError: as ``tick_values``.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
        >>> sgd, model = sg.kernels.SGD(noise, 0.1), sg.kernels.Heun(sg.sdes.SME2(noise, 0.1), 0.025)
        >>> pair = MartingaleControl(sgd, model, [(noise.objective.loss, 10)], [0.7])
        >>> run = sg.simulate(pair, [0.7], horizon=1.0, paths=1000, seed=1)
        >>> theta, x = pair.split(run.states[-1])
        >>> plain = (noise.objective.loss(x) - noise.objective.loss(theta)).numpy()
        >>> pair.difference(plain, run.states[-1], 0).stderr < 0.4 * plain.std() / 1000**0.5
        True
    """

    period = 0

    def __init__(self, sgd: SGD, model: Heun, targets: Sequence[Target], anchor: Any) -> None:
        self.pair = Coupled(sgd, model)
        if not isinstance(sgd, SGD) or not isinstance(model, Heun):
            raise InputError(f"martingales follow SGD and Heun steps; got {type(sgd).__name__} and {type(model).__name__}. Use sg.kernels.Heun(sde, dt).")
        if sgd.dim > DENSE_DIM:
            raise InputError(f"{sgd.dim} parameters; martingale controls want the covariance of every kick, in at most {DENSE_DIM} dimensions.")
        point = as_points(anchor, sgd.dim, name="anchor")
        if len(point) != 1:
            raise InputError(f"anchor holds {len(point)} points; wanted one.")
        self.a, self.b = sgd, model
        self.noise = sgd.gaussian_noise()
        self.tick, self.m = sgd.tick, len(targets)
        self.dim = 2 * sgd.dim + 2 * self.m
        self.values = tick_values(sgd.noise.objective, sgd.eta, point[0], targets, substeps=model.substeps)
        self._refuse_wrong_covariances(torch.cat([point.to(torch.float64), *(value.end.origin[None] for value in self.values)]))

    def _refuse_wrong_covariances(self, points: Tensor) -> None:
        """A stated covariance that is not that of the kicks would shift the martingales' means; looked for along the descent."""
        sde, noise = self.b.sde, self.noise
        count, basis = len(points), torch.eye(noise.root_dim, dtype=points.dtype, device=points.device)
        columns = noise.root(points.repeat_interleave(noise.root_dim, 0), basis.repeat(count, 1)).reshape(count, noise.root_dim, -1)
        with tallying():
            pairs = ((sde, sde.diffusion(0.0, points), SDE.diffusion(sde, 0.0, points)), (noise, noise.covariance(points), columns.transpose(1, 2) @ columns))
        for owner, stated, made in pairs:
            if bool(((stated - made).norm() > _AGREE * made.norm()).item()):
                what = "diffusion is not the square of its diffuse" if owner is sde else "covariance is not the square of its root"
                raise InputError(f"{type(owner).__name__}: {what}, off by {float((stated - made).norm() / made.norm()):.2g} in relative terms.")

    @property
    def start_dim(self) -> int:
        return self.a.dim

    @property
    def width(self) -> int:
        return self.pair.width + 2 * self.m

    def expand(self, theta: Tensor) -> Tensor:
        return torch.cat([theta, theta, theta.new_zeros(theta.shape[0], 2 * self.m)], 1)  # [paths, 2*dim + 2*m]

    def split(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """SGD's θ and the model's X, ``[…, dim]`` each."""
        return self.pair.split(states[..., : 2 * self.a.dim])

    def controls(self, states: Float[Tensor, "paths width"], target: int) -> Float[np.ndarray, "paths 2"]:
        """Of one target, the model's martingale less SGD's, and SGD's own; each of expectation zero."""
        model, sgd = states[:, 2 * self.a.dim + target], states[:, 2 * self.a.dim + self.m + target]
        return torch.stack([model - sgd, sgd], 1).to(torch.float64).cpu().numpy()

    def difference(self, values: Float[np.ndarray, " paths"], states: Float[Tensor, "paths width"], target: int) -> Estimate:
        """The controlled mean of ``values``, φ(X) − φ(θ) of these states path by path: ``controlled`` by the target's two martingales."""
        return controlled(values, self.controls(states, target), np.zeros(2))

    def init(self, theta: Tensor, generator: Generator) -> State:
        self.b.prepare()
        return State(theta)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        dim, substeps = self.a.dim, self.b.substeps
        theta, x = self.split(state.theta)
        model, sgd = state.theta[:, 2 * dim : 2 * dim + self.m], state.theta[:, 2 * dim + self.m :]
        value = self.values[k] if k < len(self.values) else None
        linear = self.b.affine_step() is not None
        total: Tensor | None = None
        for j in range(substeps):
            dw = normals(x, self.pair.noise_dim, generator, (self.tick / substeps) ** 0.5)
            total = dw if total is None else total + dw
            t = (k + (j + 1) / substeps) * self.tick - self.b.dt
            if linear:
                kick, after = self.b.sde.diffuse(t, x, dw), self.b.step(x, t, dw)
            else:
                drift, kick = self.b.sde.terms(t, x, dw)
                after = self.b.corrected(x, t, drift, kick)
            if value is not None:
                with tallying():  # what the model says of its domain here it has said in its terms
                    spread = self.b.sde.diffusion(t, x) * self.b.dt
                model = model + value.inside[j].martingale(x, kick, spread)
            x = after
        assert total is not None
        after = self.a.step(theta, (k + 1) * self.tick - self.a.dt, total)
        if value is not None:
            drifted = theta - self.a.eta * grad(self.noise.objective, theta)
            sgd = sgd + value.end.martingale(drifted, after - drifted, self.noise.covariance(theta) * self.a.eta**2)
        return State(torch.cat([after, x, model, sgd], 1))

    def check(self, theta: Tensor) -> None:
        self.pair.check(theta[:, : 2 * self.a.dim])

    def conventions(self) -> Conventions:
        return self.pair.conventions()
