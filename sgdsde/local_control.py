"""Control variates for an ensemble of SGD from the linear world around its start: the local quadratic with the noise frozen there.

The shadow run draws the same batches (or normals) as the run itself, because its kernel asks its generator for the same numbers in the same blocks; its means
to second order are exact (``oracles``) whatever the law of the noise. So the difference between two *independent* ensembles, minibatch SGD and its Gaussian
surrogate, loses the variance that both owe to linear motion: by 3 to 30 while ηλ and the spread are small, by little once the paths leave the quadratic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.control_variate import controlled
from sgdsde.frozen_noise import Frozen
from sgdsde.kernel import DrivenKernel
from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import Noise
from sgdsde.noises.gaussian import Gaussian
from sgdsde.objectives.local_quadratic import LocalQuadratic
from sgdsde.oracles import sgd_moments
from sgdsde.sdes.sme1 import SME1
from sgdsde.types import Estimate

#: eigendirections whose squares are controls
TOP = 2


@dataclass(frozen=True)
class LocalControl:
    """The linear world at ``anchor [dim]`` of SGD with ``noise`` and step ``eta``."""

    noise: Noise
    eta: float
    anchor: Tensor

    def sgd(self) -> SGD:
        """The shadow of ``SGD(noise, eta)``."""
        return SGD(Frozen(self.noise, self.anchor), self.eta)

    def surrogate(self, partner: DrivenKernel | None) -> SGD | Coupled:
        """The shadow of the dense Gaussian surrogate: alone, or coupled with a ``partner`` whose fine grid it must share."""
        covariance = self.noise.covariance(self.anchor[None])[0]
        frozen = Gaussian(LocalQuadratic(self.noise.objective, self.anchor), covariance)
        sgd = SGD(frozen, self.eta)
        return sgd if partner is None else Coupled(sgd, Heun(SME1(frozen, self.eta), self.eta / partner.substeps))

    def features(self, states: Float[Tensor, "T paths dim"], ticks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(controls ``[T, paths, k]``, their expectations ``[T, k]``) of the shadow's states: quadratic loss, squared distance, squared deviation from the
        mean, and its squares along the top eigenvectors.

        Raises:
            OracleRefusal: the linear world's moments overflow.
        """
        local = LocalQuadratic(self.noise.objective, self.anchor)
        vectors = torch.linalg.eigh(local.matrix).eigenvectors[:, -TOP:]
        frozen = Gaussian(local, self.noise.covariance(self.anchor[None])[0])
        controls, expected = [], []
        for points, moments in zip(states.cpu().to(torch.float64), sgd_moments(frozen, self.eta, local.anchor, list(ticks)), strict=True):
            step, deviation, shift = points - local.anchor, points - moments.mean, moments.mean - local.anchor
            second = moments.covariance + torch.outer(shift, shift)
            controls.append(torch.cat([local.loss(points)[:, None], *((a**2).sum(1, keepdim=True) for a in (step, deviation)), (deviation @ vectors) ** 2], 1))
            wanted = [
                local.value + float(local.slope @ shift) + 0.5 * float((local.matrix * second).sum()),
                float(second.trace()),
                float(moments.covariance.trace()),
            ]
            expected.append([*wanted, *((vectors.T @ moments.covariance) @ vectors).diagonal().tolist()])
        return torch.stack(controls).numpy(), np.array(expected)


def means(values: Float[np.ndarray, "paths T"], features: tuple[np.ndarray, np.ndarray]) -> Estimate:
    """The controlled mean at each save, ``[T]``."""
    parts = [controlled(values[:, t], controls, expected) for t, (controls, expected) in enumerate(zip(*features, strict=True))]
    value, stderr, low, high = (np.array([getattr(part, name) for part in parts], dtype=float) for name in ("value", "stderr", "low", "high"))
    return Estimate(value, stderr, parts[0].n, low, high)
