"""Müller–Brown potential: f(x, y) = s Σₖ Aₖ exp(aₖ(x−x̄ₖ)² + bₖ(x−x̄ₖ)(y−ȳₖ) + cₖ(y−ȳₖ)²), four terms.

The classical two-dimensional test of transition paths (Müller, Brown, Theor. Chim. Acta 53, 75, 1979): three minima joined through two
saddles, with a reaction path that does not follow the axes. Energies are of order 100 and curvatures of order 1000, so ``scale`` s ≪ 1 is
usual with SGD. The fourth term grows like exp(0.7r²): far outside, an iteration diverges.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import positive

#: columns A, a, b, c, x̄, ȳ
CONSTANTS = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)
#: stationary points by Newton's method in 40 digits, deepest minimum first; the tests check that they are stationary
MINIMA = ((-0.558223634633024277, 1.44172584180466866), (0.62349940493087651, 0.0280377585286856657), (-0.0500108229982060578, 0.466694104871972088))
SADDLES = ((-0.822001558732732097, 0.624312802814871361), (0.212486582000662007, 0.292988325107367765))
#: f at the first saddle minus f at the deepest minimum, for s = 1
BARRIER = -40.6648435086574043 + 146.699517209954014


class MullerBrown(Objective):
    """The Müller–Brown potential times ``scale``. ``facts.barrier`` is the climb out of the deepest minimum, 106.03·``scale``.

    Raises:
        InputError: ``scale`` is not a finite number > 0.

    Example:
        >>> round(sg.objectives.MullerBrown().facts.barrier, 2)
        106.03
    """

    dim = 2

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = positive(scale, "scale")
        self.facts = Facts(
            grad=self._grad, hessian=self._hessian, hvp=self._hvp, third=self._third, minima=MINIMA, saddles=SADDLES, barrier=self.scale * BARRIER
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """The classical scale and one for SGD."""
        return [cls(), cls(scale=0.01)]

    def _terms(self, theta: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, tuple[float, float, float]]]:
        """Each term's value e^E ``[P]``, the gradient (p, q) of its exponent, and the second derivatives (Exx, Exy, Eyy), which are constant.

        Component by component: on rows of two numbers torch's arithmetic costs several times as much.
        """
        x, y = theta[:, 0].contiguous(), theta[:, 1].contiguous()
        for height, a, b, c, x0, y0 in CONSTANTS:
            dx, dy = x - x0, y - y0
            p, q = torch.add(2 * a * dx, dy, alpha=b), torch.add(2 * c * dy, dx, alpha=b)
            yield (p * dx + q * dy).mul_(0.5).exp_().mul_(self.scale * height), p, q, (2 * a, b, 2 * c)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        x, y = theta.unbind(1)
        value = torch.zeros_like(x)
        for height, a, b, c, x0, y0 in CONSTANTS:
            value = value + self.scale * height * (a * (x - x0) ** 2 + b * (x - x0) * (y - y0) + c * (y - y0) ** 2).exp()
        return spread(value, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        gx, gy = theta.new_zeros(2, theta.shape[0])
        for value, p, q, _ in self._terms(theta):
            gx.addcmul_(value, p)
            gy.addcmul_(value, q)
        return torch.stack([gx, gy], 1)

    def _curvatures(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """fxx, fxy, fyy."""
        fxx, fxy, fyy = theta.new_zeros(3, theta.shape[0])
        for value, p, q, (xx, xy, yy) in self._terms(theta):
            along = value * p
            fxx.addcmul_(along, p).add_(value, alpha=xx)
            fxy.addcmul_(along, q).add_(value, alpha=xy)
            fyy.addcmul_(value * q, q).add_(value, alpha=yy)
        return fxx, fxy, fyy

    def _hessian(self, theta: Tensor) -> Tensor:
        fxx, fxy, fyy = self._curvatures(theta)
        return torch.stack([fxx, fxy, fxy, fyy], 1).view(-1, 2, 2)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        fxx, fxy, fyy = self._curvatures(theta)
        vx, vy = v.unbind(1)
        return torch.stack([torch.addcmul(fxx * vx, fxy, vy), torch.addcmul(fxy * vx, fyy, vy)], 1)

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """∂³e^E[u, v, ·] = e^E{(pᵤpᵥ + uᵀMv)∇E + pᵥMu + pᵤMv} with pᵤ = ∇E·u and M the Hessian of E."""
        (ux, uy), (vx, vy) = u.unbind(1), v.unbind(1)
        tx, ty = theta.new_zeros(2, theta.shape[0])
        for value, p, q, (xx, xy, yy) in self._terms(theta):
            along_u, along_v = p * ux + q * uy, p * vx + q * vy
            bent_ux, bent_uy = xx * ux + xy * uy, xy * ux + yy * uy
            bent_vx, bent_vy = xx * vx + xy * vy, xy * vx + yy * vy
            both = along_u * along_v + bent_ux * vx + bent_uy * vy
            tx.addcmul_(value, both * p + along_v * bent_ux + along_u * bent_vx)
            ty.addcmul_(value, both * q + along_v * bent_uy + along_u * bent_vy)
        return torch.stack([tx, ty], 1)
