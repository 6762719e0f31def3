"""Labels drawn anew at each use: noise beside that of the minibatch, for the two losses whose gradient is linear in the target, so that its mean is g.

Squared error with c outputs and targets y + sε, ε ~ N(0, I): gᵢ gains −(2s/c)Jᵢᵀε, J the outputs' Jacobian. Cross-entropy with labels drawn from the rows qᵢ of
given probabilities: gᵢ gains −Jᵢᵀ(t − qᵢ), t the drawn unit vector, Cov t = diag(qᵢ) − qᵢqᵢᵀ. With Nᵢ the covariance of what the outputs' gradient gains,

Σ = (1/B)[Cov gᵢ + (1/n)Σᵢ JᵢᵀNᵢJᵢ]: for squared error the second part is (2s²/c)·Gauss–Newton, noise in the directions of curvature (Blanc et al. 1904.09080).
Without replacement only the first part shrinks by (n−B)/(n−1): labels are fresh even in a full batch. R(z, ζ) = R_batch z + ∇Σᵢ(ẑᵢ(θ)·NᵢF ζᵢ)/√(nB), one
backward pass each.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sgdsde.box_muller import normal_pairs
from sgdsde.counter import uniforms
from sgdsde.noise import CountedNoise, Noise
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.objectives.network import Network
from sgdsde.objectives.network_checks import LOSSES
from sgdsde.rng import stream
from sgdsde.types import Conventions, InputError, positive

Batches = Minibatch | MinibatchWithoutReplacement


class FreshLabels(CountedNoise):
    """A minibatch noise of a :class:`Network` whose labels are drawn anew for each sample at each use."""

    def __init__(self, noise: Batches, loss: str) -> None:
        if not isinstance(noise, Batches):
            raise InputError(f"{type(noise).__name__} draws no batches whose labels could be drawn anew; wanted Minibatch or MinibatchWithoutReplacement.")
        network = noise.objective
        if not isinstance(network, Network) or network.loss_function is not LOSSES[loss]:
            raise InputError(
                f"{type(self).__name__} needs a Network with loss {loss!r}, whose gradient is linear in the target; {type(network).__name__} came."
            )
        self.noise, self.objective, self.network = noise, network, network
        theta = network.flatten()[None]
        self.classes = int(network.outputs(theta, network.inputs.at(theta)[:1]).numel())
        self.batch_size = noise.batch_size
        self.root_dim = noise.root_dim + network.n * self.classes

    @abstractmethod
    def fresh(self, theta: Tensor, rows: Tensor, generator: torch.Generator) -> Float[Tensor, "paths batch ..."]:
        """Targets drawn for the samples ``rows [P, B]``."""

    @property
    @abstractmethod
    def fresh_words(self) -> int:
        """Words that the targets of one path's batch take."""

    @abstractmethod
    def fresh_of(self, theta: Tensor, rows: Tensor, words: Int[Tensor, "paths fresh_words"]) -> Float[Tensor, "paths batch ..."]:
        """The targets for the samples ``rows`` that the words produce; in law those of ``fresh``."""

    @abstractmethod
    def factor(self, theta: Tensor, zeta: Float[Tensor, "paths n outputs"]) -> Float[Tensor, "paths n outputs"]:
        """Fᵢζᵢ with FᵢFᵢᵀ = Nᵢ, for all samples."""

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        batch = self.noise.batches(theta, generator)  # [paths, batch]
        return self.network.grad_with_targets(theta, batch, self.fresh(theta, batch, generator))

    @property
    def words(self) -> int:
        return self.noise.words + self.fresh_words

    def draw_of(self, theta: Tensor, words: Tensor) -> Tensor:
        batch = self.noise.batches_of(words[:, : self.noise.words])
        return self.network.grad_with_targets(theta, batch, self.fresh_of(theta, batch, words[:, self.noise.words :]))

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        z, zeta = z.split([self.noise.root_dim, self.network.n * self.classes], 1)
        gain = self.factor(theta, zeta.reshape(-1, self.network.n, self.classes)) / (self.network.n * self.batch_size) ** 0.5
        return self.noise.root(theta, z) + self._pulled(theta, gain)

    def covariance(self, theta: Tensor) -> Tensor:
        paths, n, c = theta.shape[0], self.network.n, self.classes
        columns = theta.new_zeros(paths, self.objective.dim, n * c)
        for j in range(n * c):
            zeta = theta.new_zeros(paths, n * c)
            zeta[:, j] = 1
            columns[:, :, j] = self._pulled(theta, self.factor(theta, zeta.reshape(paths, n, c)))
        return self.noise.covariance(theta) + columns @ columns.transpose(1, 2) / (n * self.batch_size)

    def conventions(self) -> Conventions:
        inner = self.noise.conventions()
        return replace(inner, sampling=f"{inner.sampling}, labels drawn anew")

    def _pulled(self, theta: Tensor, gain: Tensor) -> Tensor:
        """∇Σᵢ ẑᵢ(θ)·gainᵢ over all samples, ``[P, dim]``: the outputs' Jacobian transposed, one backward pass."""
        with torch.enable_grad():
            point = theta.detach().requires_grad_(True)
            return torch.autograd.grad((self.network.outputs(point).reshape(gain.shape) * gain).sum(), point)[0]


class LabelNoise(FreshLabels):
    """Squared error with targets y + scale·ε, ε ~ N(0, I) fresh for each sample at each use.

    Args:
        noise: the batches; ``MinibatchWithoutReplacement(network, network.n)`` is full-batch descent with label noise.
        scale: standard deviation of each target.

    Raises:
        InputError: the objective is no :class:`Network` with loss "mse", or scale ≤ 0.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 1, bias=False).double(), "mse", x, 0 * x)
        >>> batches = sg.noises.MinibatchWithoutReplacement(network, network.n)
        >>> sg.noises.LabelNoise(batches, scale=0.1).draw(network.flatten()[None], torch.Generator().manual_seed(0)).shape
        torch.Size([1, 1])
    """

    def __init__(self, noise: Batches, scale: float) -> None:
        super().__init__(noise, "mse")
        self.scale = positive(scale, "scale")

    @classmethod
    def examples(cls) -> list[Noise]:
        """Batches with replacement, and the full batch, whose only noise is that of the labels."""
        network = _example("mse")
        return [cls(Minibatch(network, 2), 0.5), cls(MinibatchWithoutReplacement(network, network.n), 1.5)]

    def fresh(self, theta: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        y = self.network.targets.rows(theta, rows)
        return y + self.scale * torch.randn(y.shape, dtype=y.dtype, device=y.device, generator=generator)

    @property
    def fresh_words(self) -> int:
        return (self._numbers + 1) // 2

    def fresh_of(self, theta: Tensor, rows: Tensor, words: Tensor) -> Tensor:
        """A word makes two of a batch's normals."""
        y = self.network.targets.rows(theta, rows)
        return y + self.scale * normal_pairs(words, y.dtype).flatten(1)[:, : self._numbers].view(y.shape)

    @property
    def _numbers(self) -> int:
        """Numbers in the targets of a batch."""
        return self.batch_size * math.prod(self.network.targets.shape[1:])

    def factor(self, theta: Tensor, zeta: Tensor) -> Tensor:
        return zeta * (-2 * self.scale / self.classes)


class SampledLabels(FreshLabels):
    """Cross-entropy with labels drawn from the targets, which are probabilities ``[n, classes]``: f is the loss that their mean has.

    Raises:
        InputError: the objective is no :class:`Network` with loss "cross_entropy" and probabilities as targets.

    Example:
        >>> x, p = torch.tensor([[1.0], [3.0]], dtype=torch.float64), torch.tensor([[0.5, 0.5], [0.1, 0.9]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 2).double(), "cross_entropy", x, p)
        >>> noise = sg.noises.SampledLabels(sg.noises.MinibatchWithoutReplacement(network, network.n))
        >>> noise.draw(network.flatten()[None], torch.Generator().manual_seed(0)).shape
        torch.Size([1, 4])
    """

    def __init__(self, noise: Batches) -> None:
        super().__init__(noise, "cross_entropy")
        q = self.network.targets.original
        if not q.is_floating_point() or q.ndim != 2 or bool((q < 0).any()) or bool(((q.sum(1) - 1).abs() > 1e-6).any()):
            raise InputError(f"targets of shape {tuple(q.shape)}, {q.dtype}; wanted probabilities [n, classes], rows adding up to 1.")

    @classmethod
    def examples(cls) -> list[Noise]:
        """Batches with and without replacement."""
        network = _example("cross_entropy")
        return [cls(Minibatch(network, 2)), cls(MinibatchWithoutReplacement(network, 3))]

    def fresh(self, theta: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        q = self.network.targets.rows(theta, rows)  # [paths, batch, classes]
        drawn = torch.multinomial(q.flatten(0, 1), 1, generator=generator).reshape(rows.shape)
        return nn.functional.one_hot(drawn, self.classes).to(q)

    @property
    def fresh_words(self) -> int:
        return self.batch_size

    def fresh_of(self, theta: Tensor, rows: Tensor, words: Tensor) -> Tensor:
        """The class t with q₀ + … + q_{t−1} < u·Σq ≤ q₀ + … + q_t: one of probability 0 never."""
        q = self.network.targets.rows(theta, rows)
        upper = q.to(torch.float64).cumsum(2)
        drawn = (upper < uniforms(words)[..., None] * upper[..., -1:]).sum(2)
        return nn.functional.one_hot(drawn, self.classes).to(q)

    def factor(self, theta: Tensor, zeta: Tensor) -> Tensor:
        """(q√qᵀ − diag √q)ζ: its square is diag q − qqᵀ."""
        q = self.network.targets.at(theta)
        return q * (q.sqrt() * zeta).sum(2, keepdim=True) - q.sqrt() * zeta


def _example(loss: str) -> Network:
    generator = stream(5, "label noise example")
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)  # modules draw their weights from the global state only; the fork gives it back as it was
        module = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)).double()
    return Network(module, loss, x, y.softmax(1) if loss == "cross_entropy" else y)
