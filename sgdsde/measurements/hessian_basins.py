"""Do large- and small-batch solutions lie in one basin? The loss on the line between them, beside lines between independent starts.

Full-batch descent to a loss, then small batches from where it ended; and the same network from other starts. Barrier: the largest height above the chord.
Top eigenspaces of the independent solutions' layers are compared too, with what chance gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sgdsde.curvature import eigsh, gauss_newton_operator, layer_operators, line_losses, overlap
from sgdsde.curvature.line import Line
from sgdsde.data import digits
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_network import HIDDEN, RATE, perceptron, start
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.training import SGD, LossBelow, train
from sgdsde.types import Estimate

LARGE_LOSS, SMALL_LOSS, SMALL_BATCH, STEPS = 0.1, 0.02, 8, 20_000
LAYER, TOP = "0.weight", 9
CONVENTIONS = f"digits in [0, 1], ReLU 64-20-20-10, cross-entropy, η = {RATE}; barriers over ln 10, the loss of a guess"


def hessian_basins(*, seed: int, level: float, pairs: Sequence[tuple[int, int]], samples: int) -> Measured:
    """For each pair of starts: ``pair/large to small``: the barrier between the full-batch solution and the small-batch one found from it, over ln c;
    ``pair/independent``: between the two starts' solutions; ``pair/overlap`` of their first layers' top eigenspaces over chance; ``pair/overlap, random``.
    """
    network = perceptron(digits(count=samples), HIDDEN)
    chance_level = math.log(10)
    estimates: dict[str, Estimate] = {}
    notes, series = [], []
    for number, pair in enumerate(pairs):
        ends = []
        for one in pair:
            large = train(
                network, start(network, one), optimiser=SGD(RATE), batch_size=samples, steps=STEPS, seed=one, stop=LossBelow(level=LARGE_LOSS, every=20)
            ).final[0]
            small = train(network, large, optimiser=SGD(RATE), batch_size=SMALL_BATCH, steps=STEPS, seed=one, stop=LossBelow(level=SMALL_LOSS, every=20)).final[
                0
            ]
            ends.append((large, small))
        name = f"pair {number + 1}"
        inside = line_losses(network, *ends[0])
        apart = line_losses(network, ends[0][1], ends[1][1])
        bases = [eigsh(layer_operators(gauss_newton_operator(network, small), network)[LAYER], TOP).vectors for _, small in ends]
        found = overlap(*bases)
        estimates |= {
            f"{name}/large to small": exactly(inside.barrier / chance_level, 0.0),
            f"{name}/independent": exactly(apart.barrier / chance_level, 0.0),
            f"{name}/overlap": exactly(found.lift, 0.0),
            f"{name}/overlap, random": exactly(overlap(bases[0], _random(bases[1], pair[0])).lift, 0.0),
        }
        notes.append(
            f"{name}: distances {inside.distance:.3g} and {apart.distance:.3g}; first layer, top {TOP}: overlap {found.value:.3g}, chance {found.chance:.3g}"
        )
        series += [
            _drawn(inside, "inside", "full batch → B = 8 from it" if number == 0 else ""),
            _drawn(apart, "apart", "independent starts" if number == 0 else ""),
        ]
    panel = Panel("Loss on the line between two solutions", "place on the line α", "loss", tuple(series))
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions=CONVENTIONS)


def _random(like: Tensor, seed: int) -> Tensor:
    """A random subspace of the same dimensions."""
    return torch.randn(like.shape, dtype=like.dtype, generator=stream(seed, "random subspace"))


def _drawn(line: Line, name: str, label: str) -> Series:
    return Series(name, label, line.alphas, line.losses)
