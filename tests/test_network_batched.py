"""Chains of layers differentiated by hand against the general way (vmap and autograd), which shares no formula with them."""

from __future__ import annotations

import pytest
import torch
from chain_networks import classifier, close, generator, huber, normal, regression, soft
from torch import Tensor, nn

from sgdsde import calculus
from sgdsde.objectives import Network, network_batched, network_layers
from sgdsde.objectives.network_batched import Batched

ACTIVATIONS = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.SiLU, nn.GELU]


CASES = [
    *[pytest.param(classifier(activation), id=f"cross-entropy {activation.__name__}") for activation in ACTIVATIONS],
    pytest.param(classifier(bias=False), id="without a bias"),
    pytest.param(regression(), id="mse"),
    pytest.param(regression(last=nn.Sigmoid()), id="mse of a sigmoid"),
    pytest.param(regression(huber), id="user's loss"),
    pytest.param(regression(lambda output, target: output.sum(-1)), id="loss linear in the output"),
    pytest.param(soft(), id="soft labels"),
]
every = pytest.mark.parametrize("f", CASES)


def agrees(f: Network) -> None:
    """Everything that ``Batched`` computes, for batches of every kind, against ``Vmapped``; products against double backward of the vmapped loss."""
    fast, general = f.method, f.vmapped
    assert isinstance(fast, Batched)
    theta, v = normal(5, f.dim, seed=6), normal(5, 4, f.dim, seed=7)
    own = torch.randint(f.n, (5, 3), generator=generator(8))
    for batch in (None, own, own[:1].expand(5, 3), own[:, :1]):
        count = f.n if batch is None else batch.shape[1]
        weights = normal(5, count, seed=9)
        close(fast.sample_loss(theta, batch), general.sample_loss(theta, batch))
        close(fast.weighted_grad(theta, None, batch), general.weighted_grad(theta, None, batch))
        close(fast.weighted_grad(theta, weights, batch), general.weighted_grad(theta, weights, batch))
        close(fast.sample_grads(theta, batch), general.sample_grads(theta, batch))
    close(fast.outputs(theta, f.inputs.at(theta)), general.outputs(theta, f.inputs.at(theta)))
    product = fast.hvp_at(theta)
    for i in range(4):
        close(product(v)[:, i], calculus.hvp_autodiff(f, theta, v[:, i]))
    close(product(v[:, 1]), product(v)[:, 1])
    close(general.hvp_at(theta)(v), product(v))
    one = theta[:1]
    close(fast.hvp_at(one)(v[:1]), general.hvp_at(one)(v[:1]))


@every
def test_hand_written_passes_agree_with_autograd(f: Network) -> None:
    agrees(f)


class Slopeless(network_layers.Tanh):
    """σ′ = 1 − h for 1 − h²."""

    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        return 1 - h


class Unbent(network_layers.Tanh):
    """σ″ without its 2."""

    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        return -h * (1 - h * h)


@pytest.mark.parametrize("mutant", ["slope", "bend", "outer", "curve", "mean"])
def test_mutants_are_seen(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong σ′, wrong σ″, a swapped outer product, a softmax curvature without its mean, a sum for the mean."""
    if mutant in ("slope", "bend"):
        monkeypatch.setitem(network_layers._ACTIVATIONS, nn.Tanh, Slopeless if mutant == "slope" else Unbent)
    elif mutant == "outer":
        monkeypatch.setattr(network_batched, "_outer", lambda delta, h: (delta.flip(1)) @ h.transpose(1, 2))
    f = classifier()
    fast = f.method
    assert isinstance(fast, Batched)
    if mutant == "curve":
        curve = type(fast.loss).curve
        monkeypatch.setattr(type(fast.loss), "curve", lambda self, z, y: (curve(self, z, y)[0], lambda a: z.softmax(1)[:, :, None] * a))
    elif mutant == "mean":
        residual = type(fast.loss).residual
        monkeypatch.setattr(type(fast.loss), "residual", lambda self, z, y: residual(self, z, y) * z.shape[2])
    with pytest.raises(AssertionError):
        agrees(f)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_that_of_the_points(dtype: torch.dtype) -> None:
    f = classifier()
    theta = normal(3, f.dim).to(dtype)
    for part in (f.loss(theta), calculus.grad(f, theta), calculus.hvp(f, theta, theta), calculus.sample_grads(f, theta)):
        assert part.dtype == dtype


def test_hessian_and_third_derivatives_through_the_batched_loss() -> None:
    f = classifier()
    theta, u, v = normal(2, f.dim), normal(2, f.dim, seed=1), normal(2, f.dim, seed=2)
    close(calculus.hessian(f, theta), calculus.hessian_autodiff(f, theta))
    h = 1e-4
    differences = (calculus.hvp(f, theta + h * u, v) - calculus.hvp(f, theta - h * u, v)) / (2 * h)
    close(calculus.third(f, theta, u, v), differences, 1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every
def test_on_a_gpu(f: Network) -> None:
    theta, v = normal(5, f.dim, seed=6), normal(5, 4, f.dim, seed=7)
    close(f.method.weighted_grad(theta.cuda(), None, None).cpu(), f.method.weighted_grad(theta, None, None), 1e-10)
    close(f.method.hvp_at(theta.cuda())(v.cuda()).cpu(), f.method.hvp_at(theta)(v), 1e-10)
    close(f.method.sample_grads(theta.cuda(), None).cpu(), f.method.sample_grads(theta, None), 1e-10)
