"""Whether the loss has a continuous second derivative where SGD goes: every SDE model here presumes it, and more.

Modified equations expand f to the second derivative at least; a loss with kinks (ReLU, hinge, |θ|) has none there, and orders, predicted errors and matrix
functions of H lose their derivation. Two looks, each one-sided:

* by type: modules with a kink (ReLU, Hardtanh, max-pooling, …) among those that the objective holds. Functions called inside a ``forward`` have no type.
* by numbers: the slope u·g and the curvature uᵀHu along lines through the places that SGD visits. Where a continuous function changes by Δ over an interval it
  changes by about Δ/2ᵏ over the steepest of 2ᵏ parts, once these are small; a jump stays. So intervals are halved again and again, towards the larger change.

What is found is a kink, or a change within 10⁻⁸ of the line's length (to no purpose smooth). What is not found may be there: between the lines, beyond three
standard deviations, or smaller than 10⁻⁶ of the slope's (the curvature's) size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.calculus import grad, hvp
from sgdsde.objective import Objective, Points

#: modules without a continuous second derivative, whatever their settings
KINKED: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.Threshold,
    nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink, nn.Softshrink, nn.Softsign,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d,
    nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.MultiMarginLoss, nn.MultiLabelMarginLoss, nn.HingeEmbeddingLoss, nn.MarginRankingLoss, nn.TripletMarginLoss,
)  # fmt: skip
#: lines that are looked along, parts of each, and how often each part is halved, towards its steeper half
LINES, PARTS, HALVINGS = 8, 32, 24
#: of that many last halvings a continuous change leaves 2⁻⁸, a jump all
_LAST = 8
#: jumps below this share of the largest value along the line are rounding
_SMALLEST = 1e-6


def not_smooth(objective: Objective, places: Points) -> str:
    """Why the loss has no continuous second derivative near ``places`` ``[N, dim]``, in words; "" where nothing was found."""
    named = sorted({type(module).__name__ for module in _modules(objective) if isinstance(module, KINKED)})
    if named:
        return f"it holds {', '.join(named)}, without a continuous second derivative"
    for what, function in (("slope", _slope), ("curvature", _curvature)):
        where = jump(partial(function, objective), places)
        if where is not None:
            return f"its {what} jumps near θ = ({', '.join(f'{value:.3g}' for value in where[:4].tolist())}{', …' if len(where) > 4 else ''})"
    return ""


def jump(function: Callable[[Points, Points], Float[Tensor, " lines"]], places: Points) -> Float[Tensor, " dim"] | None:
    """Where a function of points and unit directions jumps along segments between ``places``; None where none was found."""
    start, end = _segments(places)
    length = (end - start).norm(dim=1)
    start, end = start[length > 0], end[length > 0]
    if not len(start):
        return None
    shares = torch.linspace(0, 1, PARTS + 1, dtype=start.dtype)
    points = start[:, None] + shares[None, :, None] * (end - start)[:, None]  # [lines, parts + 1, dim]
    u = ((end - start) / (end - start).norm(dim=1, keepdim=True)).repeat_interleave(PARTS, 0)  # [lines·parts, dim]
    low, high = points[:, :-1].flatten(0, 1), points[:, 1:].flatten(0, 1)
    at_low, at_high = function(low, u), function(high, u)
    size = at_low.abs().reshape(-1, PARTS).amax(1).repeat_interleave(PARTS)
    changes = []
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        value = function(middle, u)
        left = (value - at_low).abs() >= (at_high - value).abs()
        low, at_low = torch.where(left[:, None], low, middle), torch.where(left, at_low, value)
        high, at_high = torch.where(left[:, None], middle, high), torch.where(left, value, at_high)
        changes.append((at_high - at_low).abs())
    jumps = (changes[-1] > changes[-1 - _LAST] / 2) & (changes[-1] > _SMALLEST * size)  # False where NaN
    return low[int(jumps.to(torch.int8).argmax())] if bool(jumps.any()) else None


def _slope(f: Objective, x: Points, u: Points) -> Float[Tensor, " lines"]:
    return (grad(f, x) * u).sum(1)


def _curvature(f: Objective, x: Points, u: Points) -> Float[Tensor, " lines"]:
    return (hvp(f, x, u) * u).sum(1)


def _segments(places: Points) -> tuple[Points, Points]:
    """Ends of lines: from the first place to the last, and between pairs drawn with a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(len(places), (LINES - 1, 2), generator=generator)
    pairs = torch.cat([torch.tensor([[0, len(places) - 1]]), pairs])
    return places[pairs[:, 0]], places[pairs[:, 1]]


def _modules(objective: Objective) -> Iterator[nn.Module]:
    """The modules that an objective holds, and those of the objectives inside it."""
    for value in getattr(objective, "__dict__", {}).values():
        if isinstance(value, nn.Module):
            yield from value.modules()
        elif isinstance(value, Objective):
            yield from _modules(value)
