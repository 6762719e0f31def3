"""Named initial distributions of a network's ensemble, drawn for all replicas at once from a given generator.

A parameter with two axes or more has fan-in = numel/shape[0] and fan-out = numel/shape[1] (that of torch.nn.init), and std

- ``xavier``: gain·√(2/(fan-in + fan-out)) (Glorot, Bengio 2010);  ``kaiming``: gain·√(2/fan-in) (He et al. 2015);  ``lecun``: gain·√(1/fan-in);
- ``orthogonal``: gain times a matrix with orthonormal rows or columns (Saxe et al. 2014).

Entries are normal; ``xavier uniform``, ``kaiming uniform``, ``lecun uniform`` have the same variance on an interval. Parameters with one axis: ones where they
are the weight of a normalisation layer, else zero. ``network.initial`` is the module's own distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_name
from sgdsde.objectives.network import Network
from sgdsde.rng import normals
from sgdsde.types import InputError, positive, suggest

SCHEMES = ("xavier", "kaiming", "lecun", "xavier uniform", "kaiming uniform", "lecun uniform", "orthogonal")


@dataclass(frozen=True)
class InitialDistribution:
    """A sampler ``(paths, generator) -> [P, dim]`` for ``theta0`` of ``simulate``.

    Args:
        network: whose parameters are drawn.
        scheme: one of ``SCHEMES``.
        gain: factor of every weight; 1 is the textbook's.

    Raises:
        InputError: an unknown scheme (with a suggestion), or gain ≤ 0.

    Example:
        >>> x = torch.zeros(2, 3)
        >>> network = sg.objectives.Network(torch.nn.Linear(3, 2), "mse", x, x[:, :2])
        >>> start = sg.objectives.InitialDistribution(network, "kaiming")
        >>> start(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 8])
    """

    network: Network
    scheme: str
    gain: float = 1.0

    def __post_init__(self) -> None:
        if not is_name(self.scheme, SCHEMES):
            raise InputError(f"scheme={self.scheme!r} is no initial distribution." + suggest(self.scheme, list(SCHEMES)))
        positive(self.gain, "gain")

    def __call__(self, paths: int, generator: torch.Generator) -> Float[Tensor, "paths dim"]:
        template = self.network.flatten()
        like = template.new_empty(paths, 1, device=generator.device)
        pieces = []
        for name, shape, size in zip(self.network.names, self.network.shapes, self.network.sizes, strict=True):
            if len(shape) < 2:
                pieces.append(like.new_full((paths, size), float(self._is_scale(name))))
            elif self.scheme == "orthogonal":
                pieces.append(self.gain * _orthogonal(like, shape, generator))
            elif self.scheme.endswith("uniform"):
                draws = torch.empty(paths, size, dtype=like.dtype, device=like.device).uniform_(-1, 1, generator=generator)
                pieces.append(draws * (3**0.5 * self._std(shape)))
            else:
                pieces.append(normals(like, size, generator, self._std(shape)))
        return torch.cat(pieces, 1)

    def _std(self, shape: tuple[int, ...]) -> float:
        numel = int(torch.Size(shape).numel())
        fan_in, fan_out = numel / shape[0], numel / shape[1]
        variance = {"xavier": 2 / (fan_in + fan_out), "kaiming": 2 / fan_in, "lecun": 1 / fan_in}[self.scheme.split()[0]]
        return self.gain * variance**0.5

    def _is_scale(self, name: str) -> bool:
        """Whether a parameter with one axis is the weight of a normalisation layer."""
        owner, _, kind = name.rpartition(".")
        return kind == "weight" and "Norm" in type(self.network.module.get_submodule(owner)).__name__


def _orthogonal(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Haar-distributed: the Q of a Gaussian matrix, its signs fixed by R's diagonal."""
    rows, columns = shape[0], int(torch.Size(shape[1:]).numel())
    tall, narrow = max(rows, columns), min(rows, columns)
    Q, R = torch.linalg.qr(normals(like, tall * narrow, generator).reshape(-1, tall, narrow))
    Q = Q * R.diagonal(dim1=1, dim2=2).sign()[:, None]
    return (Q if rows >= columns else Q.transpose(1, 2)).flatten(1)
