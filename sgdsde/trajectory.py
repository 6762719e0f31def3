"""What a simulation returns: saved states, streamed observables with error bars, the fate of every path, and the conventions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde.types import Conventions, Estimate, Status, Tally


@dataclass(frozen=True)
class Trajectory:
    """An ensemble at its saved times.

    Attributes:
        times: SDE times of the saves, ``[T]`` (t = kη).
        states: ``[T, P, dim]``; ``T`` = 0 where ``keep_states=False``. A diverged path is NaN from then on; one out of the model's domain, or
            stopped, stays where it was frozen.
        observed: for each observable the mean over *all* paths at each saved time (NaN once a path has diverged: nothing is dropped),
            ``Estimate`` of arrays ``[T]`` or ``[T, k]``.
        status: ``[P]``, numbers of :class:`sgdsde.types.Status`.
        status_tick: ``[P]``, the tick k at which the status was reached.
        conventions: η, B, n, sampling, Itô, dtype, device.
        tally: counters of the models' domain policies.
        recipe: seed, paths, block size, kernel: what fixes the numbers.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> run = sg.simulate(sg.kernels.SGD(noise, 0.5), [8.0], horizon=1.0, save=[0.0, 0.5, 1.0], paths=4, seed=1)
        >>> run.times.tolist(), run.states.shape, run.status.tolist()
        ([0.0, 0.5, 1.0], torch.Size([3, 4, 1]), [0, 0, 0, 0])
    """

    times: Float[Tensor, " T"]
    states: Float[Tensor, "T paths dim"]
    observed: dict[str, Estimate]
    status: Int[Tensor, " paths"]
    status_tick: Int[Tensor, " paths"]
    conventions: Conventions
    tally: Tally = field(default_factory=Tally)
    recipe: dict[str, Any] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many paths have each status, by name; zero counts left out."""
        numbers, counts = np.unique(self.status.cpu().numpy(), return_counts=True)
        return {Status(int(number)).name.lower(): int(count) for number, count in zip(numbers, counts, strict=True)}

    def __str__(self) -> str:
        lines = [
            f"Trajectory: {self.recipe.get('kernel', '?')}, {self.status.shape[0]} paths, {len(self.times)} saved times up to t = {float(self.times[-1]):g}"
        ]
        lines.append(f"  {self.conventions}")
        lines.append("  status: " + ", ".join(f"{name} {count}" for name, count in self.counts().items()))
        for name, count in sorted(self.tally.counts.items()):
            lines.append(f"  {name}: {count}")
        for name, value in sorted(self.tally.worst.items()):
            lines.append(f"  worst {name}: {value:.3g}")
        for name, estimate in self.observed.items():
            last = estimate[-1]
            lines.append(f"  {name} at the end: {last if np.ndim(last.value) == 0 else np.asarray(last.value)}")
        return "\n".join(lines)
