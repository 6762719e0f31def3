"""Whatever is no plain chain goes the general way and is right; freezing, weight decay, pieces and memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from chain_networks import classifier, close, convolution, generator, normal
from torch import nn
from torch.nn import functional

from sgdsde import calculus
from sgdsde.objectives import Network, WeightDecay, frozen, memory, network_batched
from sgdsde.objectives.network_layers import chain_of
from sgdsde.objectives.network_vmap import Vmapped, saved_numbers
from sgdsde.types import InputError


class Subclass(nn.Linear):
    """A linear layer that may do anything."""


def hooked() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    module[1].register_forward_hook(lambda part, inputs, output: 2 * output)
    return module


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    return module


def partly_frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    module[0].bias.requires_grad_(False)
    return module


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(Subclass(3, 3)),
        hooked(),
        tied(),
        partly_frozen(),
        nn.Sequential(nn.Tanh(), nn.Linear(3, 3)),
        nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Tanh()),
        nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)),
        nn.Sequential(nn.Linear(3, 3), nn.GELU(approximate="tanh")),
        nn.utils.parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="matrix_exp"),
    ],
    ids=["subclass", "hook", "tied", "frozen", "activation first", "two activations", "LayerNorm", "approximate GELU", "parametrised"],
)
def test_whatever_else_goes_the_general_way_and_is_right(module: nn.Module) -> None:
    assert chain_of(module, (3,)) is None
    f = Network(module.double(), "mse", normal(6, 3), normal(6, 3, seed=1))
    assert isinstance(f.method, Vmapped)
    theta = normal(2, f.dim, seed=2) + f.flatten()
    for p in range(2):
        close(f.outputs(theta)[p], f.module_at(theta[p])(f.inputs.at(theta)).detach())


def test_chains_are_found_with_their_places() -> None:
    chain = chain_of(nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Sequential(nn.ReLU(), nn.Identity(), nn.Linear(4, 2, bias=False))), (2, 3))
    assert chain is not None
    assert chain.flattens
    assert [(layer.weights, layer.biases, layer.activation is None) for layer in chain.layers] == [
        (slice(0, 24), slice(24, 28), False), (slice(28, 36), slice(36, 36), True),
    ]  # fmt: skip
    assert chain_of(nn.Linear(3, 2), (3,)) is not None
    assert chain_of(nn.Linear(3, 2), (5, 3)) is None  # a layer on sequences is no chain on samples


def test_convolution_and_layer_norm() -> None:
    """Against one module at a time, by torch's own backward: losses, gradients, per-sample gradients, Hessian products."""
    f = convolution()
    assert isinstance(f.method, Vmapped)
    theta, v = f.flatten() + 0.3 * normal(2, f.dim), normal(2, f.dim, seed=1)
    for p in range(2):
        module = f.module_at(theta[p])
        parameters = list(module.parameters())
        losses = functional.cross_entropy(module(f.inputs.at(theta)), f.targets.at(theta), reduction="none")
        close(f.sample_loss(theta)[p], losses)
        slopes = torch.autograd.grad(losses.mean(), parameters, create_graph=True)
        flat = torch.cat([part.flatten() for part in slopes])
        close(calculus.grad(f, theta)[p], flat.detach())
        close(calculus.hvp(f, theta, v)[p], torch.cat([part.flatten() for part in torch.autograd.grad(flat @ v[p], parameters, retain_graph=True)]))
        third = torch.autograd.grad(losses[3], parameters)
        close(calculus.sample_grads(f, theta)[p, 3], torch.cat([part.flatten() for part in third]))


def test_freezing_by_name() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).double()
    x, y = normal(6, 4), torch.arange(6) % 2
    with pytest.raises(InputError, match=r"BatchNorm1d \(1\).*frozen"):
        Network(module, "cross_entropy", x, y)
    with pytest.raises(InputError, match=r"Dropout \(2\).*frozen"):
        Network(frozen(module, "1"), "cross_entropy", x, y)
    f = Network(frozen(module, "1", "2"), "cross_entropy", x, y)
    assert module[1].training
    assert f.loss(f.initial(2, generator())).shape == (2,)
    assert Network(frozen(module), "cross_entropy", x, y).dim == f.dim
    with pytest.raises(InputError, match="no part '4'"):
        frozen(module, "4")


@pytest.mark.parametrize("make", [classifier, convolution], ids=["batched", "vmapped"])
def test_pieces_change_nothing(make: Callable[[], Network], monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets of a few numbers: one replica at a time, and for vmap one sample at a time; nothing kept."""
    f = make()
    theta, v = f.flatten() + 0.3 * normal(5, f.dim), normal(5, 3, f.dim, seed=1)
    batch = torch.randint(f.n, (5, 4), generator=generator(2))
    weights = normal(5, 4, seed=3)
    compute = [
        lambda: f.method.weighted_grad(theta, None, None),
        lambda: f.method.weighted_grad(theta, weights, batch),
        lambda: f.method.sample_grads(theta, batch),
        lambda: f.method.hvp_at(theta)(v),
    ]
    whole = [work() for work in compute]
    monkeypatch.setitem(memory.PIECE_NUMBERS, "cpu", 1)
    monkeypatch.setitem(network_batched.KEPT_NUMBERS, "cpu", 1)
    if isinstance(f.method, Vmapped):
        pieces = list(f.method.pieces(theta, f.n))
        assert len(pieces) == 5 * f.n
    for work, before in zip(compute, whole, strict=True):
        close(work(), before)


def test_saved_numbers_are_what_autograd_keeps() -> None:
    """Linear keeps its input (3), Tanh its output (4), Linear that again (4), the squared error its difference (2): none of the weights."""
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    assert saved_numbers(module, lambda output, target: ((output - target) ** 2).sum(1), torch.zeros(1, 3), torch.zeros(1, 2)) == 13


@pytest.mark.parametrize("make", [classifier, convolution], ids=["batched", "vmapped"])
def test_too_much_is_refused_before_it_is_taken(make: Callable[[], Network], monkeypatch: pytest.MonkeyPatch) -> None:
    f = make()
    theta = f.flatten().expand(40, -1).contiguous()
    monkeypatch.setattr(memory, "available_bytes", lambda device: 40_000)
    with pytest.raises(InputError, match=r"Per-sample gradients of 40 replicas × \d samples × \d+ parameters would take .* GiB"):
        f.method.sample_grads(theta, None)
    f.method.weighted_grad(theta, None, None)


def test_free_memory_is_a_number_of_this_machine() -> None:
    assert 2**27 < memory.available_bytes(torch.device("cpu")) < 2**50


def test_weight_decay_is_that_of_torchs_optimizer() -> None:
    f, decay, eta = classifier(), 0.3, 0.2
    theta = normal(1, f.dim)
    module = f.module_at(theta[0])
    optimizer = torch.optim.SGD(module.parameters(), lr=eta, weight_decay=decay)
    for batch in torch.randint(f.n, (10, 1, 4), generator=generator(7)):
        theta = theta - eta * calculus.weighted_grad(WeightDecay(f, decay), theta, None, batch)
        optimizer.zero_grad()
        functional.cross_entropy(module(f.inputs.at(theta)[batch[0]]), f.targets.at(theta)[batch[0]]).backward()
        optimizer.step()
    close(theta[0], f.flatten(module))
