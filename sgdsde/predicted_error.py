"""The weak error of a model, E φ(X_T) − E φ(θ_k), predicted from closures of SGD and of the model; and whether the prediction may be trusted.

Three runs: one nearly Gaussian law at η and at η/2, and a mixture of several at η, whose difference to SGD's is the prediction. It is called *not asymptotic*
where the model does not exist where the law goes; where one law and several disagree by more than √2 (the law is far from normal); where the error's slope
between η and η/2 is more than ½ off the model's weak order (leading terms cancel, or η is too large); or where the closure cannot resolve it: an error of
order 3 needs third cumulants (three dimensions at most) or, if Σ is constant, conditional laws of ticks (eight at most). SGD goes by ticks; a model by the
moment equations of its law, but by ticks where these resolve more or the law is far from normal. Derivation: docs/theory/atlas.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sgdsde.closure import Cumulants, Tick, at_points, flow, sde_tick, sgd_tick, through, twice
from sgdsde.cubature import TENSOR_DIM, Rule, axis_rule, tensor_rule
from sgdsde.mixture import Advance, Mixture, branch, run, single
from sgdsde.noise import Noise
from sgdsde.objective import Points
from sgdsde.sde import SDE

Functions = Mapping[str, Callable[[Tensor], Tensor]]
Factory = Callable[[Noise, float], SDE]

#: up to this dimension a model's law goes by ticks, from every node of the law before it, where that resolves more than the moment equations do
NESTED_DIM = 8
#: one law and a mixture must agree within this factor: two such disagreements make the factor 2 that a prediction promises
AGREEMENT = 2**0.5
#: the slope between η and η/2 must lie this near to the model's order
SLOPE = 0.5
#: errors below this share of the test function's standard deviation are rounding
ROUNDING = 1e-11
#: RK4 steps in a tick are doubled until the tick moves by less than this share of what tells it from SGD's
_SETTLED = 0.02
_MOST_SUBSTEPS = 64


@dataclass(frozen=True)
class Prediction:
    """One test function's predicted error.

    ``error`` is in the units of φ; ``relative`` in standard deviations of φ under SGD's law at the horizon (where it has none, in units of |E φ − φ(θ₀)|);
    ``slope`` is log₂ of the error at η over that at η/2 (NaN where it is not defined). ``settled``: the model exists and the closures agree on the number, at
    this η; ``asymptotic``: it falls at the model's order too, so that it may be carried over to other step sizes; ``reason`` says why (not).
    """

    error: float
    relative: float
    slope: float
    asymptotic: bool
    reason: str
    settled: bool


class Forecast:
    """SGD from one point with given test functions, against which models are predicted.

    Args:
        noise: SGD's noise; its covariance is used (the Gaussian surrogate).
        eta, theta0, steps: step size, start ``[1, dim]`` in float64, number of steps.
        functions: name → φ, ``[P, dim]`` → ``[P]``.
    """

    def __init__(self, noise: Noise, eta: float, theta0: Points, *, steps: int, functions: Functions) -> None:
        self.noise, self.eta, self.theta0, self.steps = noise, eta, theta0, steps
        self.functions = dict(functions)
        self.dim = theta0.shape[1]
        self.third = self.dim <= TENSOR_DIM
        # a tick's conditional law costs little in one dimension, and resolves order 3 without third cumulants where Σ is constant; elsewhere it is needed
        # only where the law is far from normal
        self.nested = self.dim == 1 or (not self.third and self.dim <= NESTED_DIM and noise.constant_covariance)
        self.inner = tensor_rule(self.dim, 3) if self.dim < TENSOR_DIM else axis_rule(self.dim)
        self.rules = (tensor_rule(self.dim, 5), tensor_rule(self.dim, 3)) if self.third else (axis_rule(self.dim),)
        self._models: dict[tuple[int, int], tuple[Factory, SDE]] = {}
        self._counts: dict[tuple[int, int], int] = {}
        self._paths: dict[tuple[int, Rule, int], list[Cumulants]] = {}
        self._mixtures: dict[tuple[Rule, int], tuple[Mixture, list[Tensor]]] = {}
        self.scales = self._scales()

    def path(self) -> list[Cumulants]:
        """SGD's law after each step, one nearly Gaussian part."""
        return self._sgd(1, self.rules[0], 1)

    def model(self, factory: Factory, halving: int) -> SDE:
        """The model of η/halving, built once a forecast."""
        key = id(factory), halving
        if key not in self._models:
            self._models[key] = factory, factory(self.noise, self.eta / halving)
        return self._models[key][1]

    def predict(self, factory: Factory, order: int | None, *, ticks: int = 1) -> dict[str, Prediction]:
        """A prediction for each test function.

        Args:
            factory: (noise, eta) → the model.
            order: its weak order, None where none is claimed (then no slope is asked for).
            ticks: 2 for a model that is compared at even steps only; ``steps`` must be a multiple.
        """
        sde = self.model(factory, 1)
        exact = sde.affine() is not None and self.noise.objective.facts.constant_hessian and self.noise.constant_covariance
        full, one, half, edge = self._differences(factory, ticks, nested=self.nested)
        worst = int((full / self.scales).abs().nan_to_num().argmax())
        if not self.nested and self.dim <= NESTED_DIM and sde.affine() is None and _far_from_normal(float(full[worst]), float(one[worst])):
            full, one, half, edge = self._differences(factory, ticks, nested=True)  # what both closures leave out then cancels better
        resolved = order is None or order < 3 or self.third or self.nested
        return {
            name: _judged(*(float(values[i]) for values in (full, one, half, self.scales)), order=order, edge=edge, resolved=resolved, exact=exact)
            for i, name in enumerate(self.functions)
        }

    def _differences(self, factory: Factory, ticks: int, *, nested: bool) -> tuple[Tensor, Tensor, Tensor, bool]:
        """Model − SGD for each test function: by a mixture, by one law, by one law at η/2; and whether only the narrower rule stayed in the domain."""
        advances = {h: partial(self._advance, self.model(factory, h), self.substeps(factory, h, ticks), ticks=ticks, nested=nested) for h in (1, 2)}
        functions = list(self.functions.values())
        for rule in self.rules:
            path = run(advances[1](rule), at_points(self.theta0, third=self.third), self.steps // ticks)
            half_path = run(advances[2](rule), path[0], 2 * self.steps // ticks)
            reference, directions = self._sgd_mixture(rule, ticks)
            mixture = branch(advances[1](rule), path, self._splits(len(path) - 1), directions)[0]
            pairs = (
                (mixture, reference),
                (single(path[-1]), single(self._sgd(1, rule, ticks)[-1])),
                (single(half_path[-1]), single(self._sgd(2, rule, ticks)[-1])),
            )
            full, one, half = (model.expectations(rule, functions) - sgd.expectations(rule, functions) for model, sgd in pairs)
            if bool(torch.isfinite(torch.stack([one, full, half])).all()):
                break
        return full, one, half, rule is not self.rules[0]

    def substeps(self, factory: Factory, halving: int, ticks: int = 1) -> int:
        """RK4 steps a tick of the model of η/halving, found once a forecast."""
        sde = self.model(factory, halving)
        key = id(sde), ticks
        if key not in self._counts:
            self._counts[key] = self._settled(sde, ticks)
        return self._counts[key]

    def _settled(self, sde: SDE, ticks: int) -> int:
        """RK4 steps, doubled until a tick from the start, and one from where SGD ends up, have settled to a fiftieth of their distance to SGD's."""
        if sde.affine() is not None or sde.eta is None:
            return 1
        ends = torch.cat([self.theta0, self.path()[-1].mean])
        reference = self._reference(sde.eta, ticks)(ends)
        count, law = 1, self._tick(sde, 1, ticks)(ends)
        while count < _MOST_SUBSTEPS and bool(torch.isfinite(law.covariance).all()):
            finer = self._tick(sde, 2 * count, ticks)(ends)
            moved = [float((a - b).norm()) for a, b in zip(law[:2], finer[:2], strict=True)]
            distance = [float((a - b).norm()) for a, b in zip(finer[:2], reference[:2], strict=True)]
            size = [float(part.norm()) for part in reference[:2]]
            if all(m <= _SETTLED * d + ROUNDING * s for m, d, s in zip(moved, distance, size, strict=True)):
                break
            count, law = 2 * count, finer
        return count

    def _tick(self, sde: SDE, substeps: int, ticks: int) -> Tick:
        assert sde.eta is not None
        return sde_tick(sde, ticks * sde.eta, rule=self.inner, substeps=substeps, third=self.third)

    def _reference(self, eta: float, ticks: int) -> Tick:
        tick = sgd_tick(self.noise, eta)
        return tick if ticks == 1 else twice(tick, self.inner)

    def _splits(self, steps: int) -> tuple[int, ...]:
        """Up to two dimensions after a third and after two thirds of the steps (nine parts), else after half of them (three)."""
        shares = (1 / 3, 2 / 3) if self.dim <= 2 else (1 / 2,)
        return tuple(sorted({max(1, round(share * steps)) for share in shares} - {steps}))

    def _sgd(self, halving: int, rule: Rule, ticks: int) -> list[Cumulants]:
        """SGD's undivided laws, every ``ticks`` steps."""
        if (halving, rule, ticks) not in self._paths:
            advance = self._sgd_advance(halving, rule, ticks)
            self._paths[halving, rule, ticks] = run(advance, at_points(self.theta0, third=self.third), self.steps * halving // ticks)
        return self._paths[halving, rule, ticks]

    def _sgd_mixture(self, rule: Rule, ticks: int) -> tuple[Mixture, list[Tensor]]:
        if (rule, ticks) not in self._mixtures:
            path = self._sgd(1, rule, ticks)
            self._mixtures[rule, ticks] = branch(self._sgd_advance(1, rule, ticks), path, self._splits(len(path) - 1))
        return self._mixtures[rule, ticks]

    def _sgd_advance(self, halving: int, rule: Rule, ticks: int) -> Advance:
        tick = self._reference(self.eta / halving, ticks)
        return lambda law: through(tick, rule, law)

    def _advance(self, sde: SDE, substeps: int, rule: Rule, *, ticks: int, nested: bool) -> Advance:
        """One tick of the model: through its conditional law (``nested``, and where it is known exactly), or by the moment equations."""
        if nested or sde.affine() is not None:
            tick = self._tick(sde, substeps, ticks)
            return lambda law: through(tick, rule, law)
        assert sde.eta is not None
        time = ticks * sde.eta
        return lambda law: flow(sde, rule, law, time=time, substeps=substeps)

    def _scales(self) -> Tensor:
        """Standard deviations of the test functions at the horizon; |E φ − φ(θ₀)| where there is no noise, 1 where nothing moves either."""
        rule = self.rules[0]
        law = single(self.path()[-1])
        functions = list(self.functions.values())
        values = law.expectations(rule, functions)
        start = torch.stack([function(self.theta0)[0].to(values) for function in functions])
        centred = [lambda x, f=f, m=m: (f(x) - m) ** 2 for f, m in zip(functions, values, strict=True)]
        spread = law.expectations(rule, centred).clamp_min(0).sqrt()
        moved = (values - start).abs()
        return torch.where(spread > ROUNDING * (1 + values.abs()), spread, torch.where(moved > 0, moved, torch.ones_like(moved)))


def _far_from_normal(full: float, one: float) -> bool:
    """Whether several parts and one part disagree (NaN: they do not agree)."""
    return not (full * one > 0 and 1 / AGREEMENT < full / one < AGREEMENT)


def _judged(full: float, one: float, half: float, scale: float, *, order: int | None, edge: bool, resolved: bool, exact: bool) -> Prediction:
    """The verdict on one number."""
    slope = math.log2(one / half) if math.isfinite(one) and math.isfinite(half) and one * half > 0 else math.nan
    reason = ""
    if not math.isfinite(full + one + half):
        reason = "the model does not exist where the law goes"
    elif abs(full) <= ROUNDING * scale and abs(one) <= ROUNDING * scale:
        return Prediction(full, full / scale, slope, True, "no error beyond rounding", True)
    elif exact and abs(full - one) <= 1e-6 * (abs(full) + ROUNDING * scale):
        return Prediction(full, full / scale, slope, True, "exact: SGD and the model are linear", True)
    elif edge:
        reason = "the law reaches the edge of the model's domain within three standard deviations"
    elif not resolved:
        reason = "an error of order 3 is not resolved in this dimension"
    elif _far_from_normal(full, one):
        reason = f"the law is far from normal: as one part {one:.2g}, as several {full:.2g}"
    settled = not reason
    if settled and order is not None and math.isnan(slope):
        reason = "its sign changes between η and η/2: leading terms cancel"
    elif settled and order is not None and abs(slope - order) > SLOPE:
        reason = f"it falls like η^{slope:.1f} here, the model's order is {order}"
    return Prediction(full, full / scale, slope, not reason, reason or "closures agree, slope as it should be", settled)
