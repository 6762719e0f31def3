"""Networks as objectives: against PyTorch's own modules, optimiser and losses, one model at a time."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import sgdsde as sg
from sgdsde import calculus
from sgdsde.objectives import LogisticRegression, Network, TwoLayerLinear


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 12, features: int = 5, classes: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(n, features, generator=generator(1), dtype=torch.float64), torch.arange(n) % classes


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def network(**settings: object) -> Network:
    x, y = data()
    return Network(perceptron(), "cross_entropy", x, y, **settings)  # type: ignore[arg-type]


def same(a: Tensor, b: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


class Tied(nn.Module):
    """One weight used twice, and one frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
        self.decode.weight = self.encode.weight
        self.decode.bias.requires_grad_(False)
        self.register_buffer("shift", torch.arange(4.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(torch.tanh(self.encode(x))) + self.shift


def losses_of(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(module(x), y, reduction="none")


def test_each_path_is_one_module() -> None:
    f, (x, y) = network(), data()
    theta = f.initial(3, generator())
    batch = torch.tensor([[0, 5], [7, 7], [2, 1]])
    for p in range(3):
        module = f.module_at(theta[p])
        same(f.sample_loss(theta)[p], losses_of(module, x, y))
        same(f.sample_loss(theta, batch)[p], losses_of(module, x[batch[p]], y[batch[p]]))
        same(f.outputs(theta)[p], module(x))
        same(f.outputs(theta, x[:2])[p], module(x[:2]))
        module.zero_grad()
        losses_of(module, x, y).mean().backward()
        same(calculus.grad(f, theta)[p], torch.cat([part.grad.flatten() for part in module.parameters()]))  # type: ignore[union-attr]


def test_order_is_that_of_named_parameters() -> None:
    f = network()
    assert f.names == tuple(name for name, _ in perceptron().named_parameters())
    theta = f.initial(2, generator())
    named = f.unflatten(theta)
    assert torch.equal(theta[:, :20], named["0.weight"].reshape(2, 20))
    assert torch.equal(theta[:, 20:24], named["0.bias"])
    assert torch.equal(f.flatten(named), theta)
    assert torch.equal(f.flatten(f.module_at(theta[1])), theta[1])
    assert f.dim == 5 * 4 + 4 + 4 * 3 + 3


def test_network_is_copied() -> None:
    module, (x, y) = perceptron(), data()
    f = Network(module, "cross_entropy", x, y)
    start = f.flatten()
    before = f.loss(start[None])
    with torch.no_grad():
        for part in module.parameters():
            part.add_(1.0)
    assert torch.equal(f.flatten(), start)
    assert torch.equal(f.loss(start[None]), before)


def test_linear_module_is_logistic_regression() -> None:
    """The same numbers from two implementations that share nothing, and the layout that the second promises."""
    x, y = data()
    f, closed = Network(nn.Linear(5, 3, bias=False).double(), "cross_entropy", x, y), LogisticRegression(x, y)
    theta, v = f.initial(4, generator(2)), f.initial(4, generator(3))
    same(f.sample_loss(theta), closed.sample_loss(theta))
    same(calculus.grad(f, theta), calculus.grad(closed, theta))
    same(calculus.hessian(f, theta), calculus.hessian(closed, theta))
    same(calculus.hvp(f, theta, v), calculus.hvp(closed, theta, v))
    same(calculus.third(f, theta, v, v), calculus.third(closed, theta, v, v))
    same(calculus.sample_grads(f, theta), calculus.sample_grads(closed, theta))
    same(calculus.sample_covariance(f, theta), calculus.sample_covariance(closed, theta))


def test_two_linear_layers_are_the_two_layer_linear_net() -> None:
    """ "mse" averages over outputs and has no ½: two outputs make it the sum of squares over 2, that is the ½|·|² of the closed form."""
    x, _ = data()
    y = x[:, :2] - x[:, 2:4]
    module = nn.Sequential(nn.Linear(5, 3, bias=False), nn.Linear(3, 2, bias=False)).double()
    f, closed = Network(module, "mse", x, y), TwoLayerLinear(x, y, 3)
    theta = f.initial(3, generator(4))
    same(f.sample_loss(theta), closed.sample_loss(theta))
    same(calculus.hessian(f, theta), calculus.hessian(closed, theta))


def test_mse_is_torchs() -> None:
    x, _ = data()
    y = torch.randn(12, 3, generator=generator(5), dtype=torch.float64)
    f = Network(perceptron(), "mse", x, y)
    theta = f.initial(1, generator())
    same(f.loss(theta)[0], functional.mse_loss(f.module_at(theta[0])(x), y))


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (nn.CrossEntropyLoss(reduction="none"), torch.arange(12) % 3),
        (nn.NLLLoss(reduction="none"), torch.arange(12) % 3),
        (lambda output, target: ((output - target) ** 2).sum(1), torch.zeros(12, 3)),
    ],
    ids=["CrossEntropyLoss", "NLLLoss", "own"],
)
def test_losses_may_be_any_callable(loss: Callable[[Tensor, Tensor], Tensor], target: Tensor) -> None:
    x, _ = data()
    f = Network(perceptron(), loss, x, target)
    theta = f.initial(2, generator())
    same(f.sample_loss(theta)[1], loss(f.module_at(theta[1])(x), target))


def test_sgd_equals_torchs_optimizer_batch_for_batch() -> None:
    """Twenty steps on the same batches; a mean over the wrong axis, a lost η or a shifted batch would differ at once."""
    f, (x, y) = network(), data()
    theta = f.initial(1, generator(6))
    module = f.module_at(theta[0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.3)
    for batch in torch.randint(12, (20, 1, 4), generator=generator(7)):
        theta = theta - 0.3 * calculus.weighted_grad(f, theta, None, batch)
        optimizer.zero_grad()
        losses_of(module, x[batch[0]], y[batch[0]]).mean().backward()
        optimizer.step()
    same(theta[0], f.flatten(module))


def test_tied_and_frozen_parameters_and_buffers() -> None:
    torch.manual_seed(0)
    module = Tied().double()
    x = torch.randn(6, 4, generator=generator(8), dtype=torch.float64)
    f = Network(module, "mse", x, x)
    assert f.dim == 16 + 4  # the weight once, one bias; the other is frozen
    theta = f.initial(2, generator())
    for p in range(2):
        same(f.outputs(theta)[p], f.module_at(theta[p])(x))
    assert torch.equal(f.module_at(theta[0]).decode.bias, module.decode.bias)  # type: ignore[union-attr]
    same(f.sample_loss(theta.float()).double(), f.sample_loss(theta), 1e-5)


@pytest.mark.parametrize("build", [lambda: nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5)), lambda: nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3))])
def test_evaluation_mode_is_accepted_and_frozen(build: Callable[[], nn.Module]) -> None:
    x, y = data()
    module = build().double().eval()
    f = Network(module, "cross_entropy", x, y)
    theta = f.initial(2, generator())
    same(f.sample_loss(theta, torch.tensor([[3], [4]]))[:, 0], torch.stack([f.sample_loss(theta)[0, 3], f.sample_loss(theta)[1, 4]]))
    buffers = {name: part.clone() for name, part in f.module.named_buffers()}
    calculus.grad(f, theta)
    assert all(torch.equal(part, buffers[name]) for name, part in f.module.named_buffers())


def test_initial_is_the_modules_own_distribution_draw_for_draw() -> None:
    """With the global generator set to the given one's state, building the layer anew gives the very weights."""
    x, y = data()
    f = Network(nn.Linear(5, 3).double(), "cross_entropy", x, y)
    source = generator(9)
    state = source.get_state()
    theta = f.initial(2, source)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        expected = torch.stack([f.flatten(nn.Linear(5, 3, dtype=torch.float64)) for _ in range(2)])
        assert torch.equal(source.get_state(), torch.get_rng_state())  # the generator goes on where the draws ended
    assert torch.equal(theta, expected)


def test_initial_leaves_no_trace_and_depends_on_the_generator_only() -> None:
    f = network()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = f.initial(4, generator(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(f.initial(4, generator(3)), first)
    assert not torch.equal(f.initial(4, generator(4)), first)
    source = generator(3)
    assert torch.equal(torch.cat([f.initial(2, source), f.initial(2, source)]), first)
    assert not torch.equal(first[0], first[1])


def test_initial_lets_parents_overrule_children() -> None:
    """Attention sets its output bias to zero after its children's reset; children-last would leave it random."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=False)[0].mean(1)

    x = torch.randn(3, 2, 4, generator=generator(10), dtype=torch.float64)
    f = Network(Attention().double(), "mse", x, x[:, 0])
    named = f.unflatten(f.initial(2, generator()))
    assert float(named["attention.out_proj.bias"].abs().max()) == 0
    assert float(named["attention.out_proj.weight"].abs().min()) > 0


class LargestFetch(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that was fetched by index."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if "index" in str(func) or "gather" in str(func):
            self.largest = max(self.largest, result.numel())
        return result


def test_shared_batches_are_not_copied_for_each_path() -> None:
    f, (x, _) = network(), data()
    theta = f.initial(50, generator())
    shared = torch.arange(10).expand(50, 10)
    largest = []
    for batch in (None, shared, shared.contiguous()):
        with LargestFetch() as watch:
            f.sample_loss(theta, batch)
        largest.append(watch.largest)
    assert largest[0] <= 50 * 12  # at most what the loss picks: [paths, n], no inputs
    assert largest[1] <= 50 * 10
    assert largest[2] == 50 * 10 * x.shape[1]  # a batch of its own for each path has to be fetched
    same(f.sample_loss(theta, shared), f.sample_loss(theta)[:, :10])


def test_integer_inputs_stay_integers() -> None:
    module = nn.Sequential(nn.Embedding(7, 2), nn.Flatten(), nn.Linear(6, 2)).double()
    f = Network(module, "cross_entropy", torch.arange(12).reshape(4, 3) % 7, torch.arange(4) % 2)
    theta = f.initial(2, generator())
    same(f.outputs(theta)[0], f.module_at(theta[0])(torch.arange(12).reshape(4, 3) % 7))


def test_travels_to_other_processes_and_keeps_its_dtype() -> None:
    f = network()
    theta = f.initial(2, generator())
    again = pickle.loads(pickle.dumps(f))
    assert torch.equal(again.sample_loss(theta), f.sample_loss(theta))
    assert f.sample_loss(theta.float()).dtype == torch.float32
    assert copy.deepcopy(f).dim == f.dim
    single = Network(perceptron().float(), "cross_entropy", *data())
    assert single.initial(1, generator()).dtype == torch.float32


def test_simulated_sgd_learns_and_starts_from_the_sampler() -> None:
    """A hundred steps at η = 0.3 halve the mean loss of a separable toy problem."""
    x = torch.randn(30, 5, generator=generator(11), dtype=torch.float64)
    f = Network(perceptron(), "cross_entropy", x, (x[:, 0] > 0).long())
    kernel = sg.kernels.SGD(sg.noises.Minibatch(f, 5), 0.3)
    run = sg.simulate(kernel, f.initial, horizon=30.0, save=(0.3, 30.0), observe={"loss": f.loss}, paths=8, seed=1)
    assert run.observed["loss"].value[1] < 0.5 * run.observed["loss"].value[0]


def test_hessian_in_pieces_on_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    f = network()
    theta = f.initial(2, generator())
    whole = calculus.hessian(f, theta)
    monkeypatch.setattr(calculus, "_PIECE_ELEMENTS", 1)
    same(calculus.hessian(f, theta), whole)

    def single(p: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(f.module, {n: q[0] for n, q in f.unflatten(p[None]).items()}, (data()[0],)), data()[1])

    same(whole[1], torch.autograd.functional.hessian(single, theta[1]))
