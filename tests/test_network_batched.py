"""Chains of layers differentiated by hand against the general way (vmap and autograd), which shares no formula with them; pieces, memory, starts, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sgdsde as sg
from sgdsde import calculus
from sgdsde.objectives import InitialDistribution, Network, WeightDecay, frozen, load_networks, memory, network_batched, network_layers, save_networks
from sgdsde.objectives.network_batched import Batched
from sgdsde.objectives.network_layers import chain_of
from sgdsde.objectives.network_vmap import Vmapped, saved_numbers
from sgdsde.types import InputError

T64 = torch.float64
ACTIVATIONS = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.SiLU, nn.GELU]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=T64)


def huber(output: Tensor, target: Tensor) -> Tensor:
    """A user's loss."""
    return functional.smooth_l1_loss(output, target, reduction="none").sum(-1)


def classifier(activation: type[nn.Module] = nn.Tanh, **settings: bool) -> Network:
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 4, **settings), activation(), nn.Sequential(nn.Linear(4, 3), activation()), nn.Linear(3, 3)).double()
    return Network(module, "cross_entropy", normal(9, 2, 3, seed=1), torch.arange(9) % 3)


def regression(loss: Any = "mse", last: nn.Module | None = None) -> Network:
    module = nn.Sequential(nn.Linear(3, 5, bias=False), nn.Tanh(), nn.Dropout(0.0), nn.Linear(5, 2), *([last] if last else [])).double()
    return Network(module, loss, normal(8, 3, seed=2), normal(8, 2, seed=3))


def soft() -> Network:
    module = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 3)).double()
    return Network(module, "cross_entropy", normal(7, 3, seed=4), normal(7, 3, seed=5).softmax(1) * 1.5)


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


def close(a: Tensor, b: Tensor, tolerance: float = 1e-12) -> None:
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= tolerance * (1 + float(b.detach().abs().max()))


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


# --- what is a chain, and what is not ---------------------------------------------------------------------------------------------------------


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


# --- convolutions, normalisation, freezing ------------------------------------------------------------------------------------------------------


def convolution() -> Network:
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.GroupNorm(1, 2), nn.ReLU(), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 3)).double()
    return Network(module, "cross_entropy", normal(6, 1, 4, 4), torch.arange(6) % 3)


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


# --- memory -----------------------------------------------------------------------------------------------------------------------------------


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


# --- starts and files -------------------------------------------------------------------------------------------------------------------------


def standard_deviation(shape: tuple[int, int], scheme: str) -> float:
    """torch.nn.init's own, from one large draw's definition: fan-in = shape[1], fan-out = shape[0]."""
    out, into = shape
    return {"xavier": (2 / (into + out)) ** 0.5, "kaiming": (2 / into) ** 0.5, "lecun": into**-0.5}[scheme.split()[0]]


@pytest.mark.parametrize("scheme", ["xavier", "kaiming", "lecun", "xavier uniform", "kaiming uniform", "lecun uniform"])
def test_named_starts_have_their_variance(scheme: str) -> None:
    """4,000 × 24 entries: a standard deviation to 0.23 % (normal); the tolerance of 1.5 % is over six of these and resolves fan-in from fan-out."""
    f = classifier()
    draws = f.unflatten(InitialDistribution(f, scheme, gain=2.0)(4000, generator()))
    weight = draws["1.weight"]
    assert float(weight.std()) == pytest.approx(2 * standard_deviation((4, 6), scheme), rel=0.015)
    assert float(draws["1.bias"].abs().max()) == 0
    if "uniform" in scheme:
        assert float(weight.abs().max()) <= 2 * 3**0.5 * standard_deviation((4, 6), scheme)


def test_orthogonal_start_and_normalisation_weights() -> None:
    f = classifier()
    W = f.unflatten(InitialDistribution(f, "orthogonal", gain=0.5)(7, generator()))["1.weight"]
    close(W @ W.transpose(1, 2), 0.25 * torch.eye(4, dtype=T64).expand(7, 4, 4))
    g = convolution()
    named = g.unflatten(InitialDistribution(g, "kaiming")(3, generator()))
    assert bool((named["1.weight"] == 1).all())
    assert bool((named["4.weight"] == 1).all())
    assert bool((named["1.bias"] == 0).all())
    assert float(named["0.weight"].std()) > 0


def test_starts_serve_simulate_and_depend_on_the_generator_only() -> None:
    f = classifier()
    start = InitialDistribution(f, "kaiming")
    assert torch.equal(start(3, generator(1)), start(3, generator(1)))
    assert not torch.equal(start(3, generator(1)), start(3, generator(2)))
    run = sg.simulate(sg.kernels.SGD(sg.noises.Minibatch(f, 2), 0.1), start, horizon=0.2, paths=4, seed=1, progress=False)
    assert run.counts() == {"ok": 4}
    with pytest.raises(InputError, match="Did you mean 'kaiming'"):
        InitialDistribution(f, "kaming")
    with pytest.raises(InputError, match="gain"):
        InitialDistribution(f, "kaiming", gain=0.0)


def test_files_give_back_the_bits_and_refuse_what_does_not_fit(tmp_path: Path) -> None:
    f, other = classifier(), regression()
    for theta in (normal(3, f.dim), normal(3, f.dim).float()):
        save_networks(tmp_path / "nets.safetensors", f, theta)
        found = load_networks(tmp_path / "nets.safetensors", f)
        assert found.dtype == theta.dtype
        assert torch.equal(found, theta)
    assert [path.name for path in tmp_path.iterdir()] == ["nets.safetensors"]
    with pytest.raises(InputError, match="holds the parameters"):
        load_networks(tmp_path / "nets.safetensors", other)
    wide = Network(nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Sequential(nn.Linear(5, 3), nn.Tanh()), nn.Linear(3, 3)).double(),
                   "cross_entropy", normal(9, 2, 3), torch.arange(9) % 3)  # fmt: skip
    with pytest.raises(InputError, match=r"'1\.weight'.*wanted \[paths, \.\.\.\] of shape \(5, 6\)"):
        load_networks(tmp_path / "nets.safetensors", wide)
    with pytest.raises(InputError, match="does not exist"):
        load_networks(tmp_path / "none", f)
    (tmp_path / "text").write_text("no arrays here")
    with pytest.raises(InputError, match="no safetensors file"):
        load_networks(tmp_path / "text", f)
    with pytest.raises(InputError, match="wanted \\[paths, "):
        save_networks(tmp_path / "x", f, normal(3, 4))


# --- weight decay ---------------------------------------------------------------------------------------------------------------------------------


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every
def test_on_a_gpu(f: Network) -> None:
    theta, v = normal(5, f.dim, seed=6), normal(5, 4, f.dim, seed=7)
    close(f.method.weighted_grad(theta.cuda(), None, None).cpu(), f.method.weighted_grad(theta, None, None), 1e-10)
    close(f.method.hvp_at(theta.cuda())(v.cuda()).cpu(), f.method.hvp_at(theta)(v), 1e-10)
    close(f.method.sample_grads(theta.cuda(), None).cpu(), f.method.sample_grads(theta, None), 1e-10)
