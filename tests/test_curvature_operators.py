"""Operators three ways for every kind of layer and loss; data from loaders and in pieces; modes, memory, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import sgdsde as sg
from sgdsde import curvature
from sgdsde.curvature import graph_memory
from sgdsde.curvature.hessian import HessianOperator, KnownHessian
from sgdsde.types import InputError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def huber(output: Tensor, target: Tensor) -> Tensor:
    """A user's loss: neither named nor quadratic."""
    return ((1 + (output - target) ** 2).sqrt() - 1).sum(1)


def seeded(build: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        for i, part in enumerate(build.parameters()):
            part.copy_(0.5 * torch.randn(part.shape, generator=generator(i), dtype=torch.float64))
    return build


def networks() -> dict[str, sg.objectives.Network]:
    """Linear, Conv2d, LayerNorm, frozen BatchNorm; cross-entropy, squared error, a user's loss."""
    g = generator(9)
    images, x = torch.randn(12, 1, 4, 4, generator=g, dtype=torch.float64), torch.randn(12, 3, generator=g, dtype=torch.float64)
    labels, y = torch.arange(12) % 3, torch.randn(12, 2, generator=g, dtype=torch.float64)
    conv = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(8, 3)).double()
    normed = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Softplus(), nn.Linear(4, 2)).double()
    frozen = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8, 3)).double().eval()
    plain = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return {
        "conv, cross-entropy": sg.objectives.Network(seeded(conv), "cross_entropy", images, labels),
        "layer norm, squared error": sg.objectives.Network(seeded(normed), "mse", x, y),
        "layer norm, user's loss": sg.objectives.Network(seeded(copy.deepcopy(normed)), huber, x, y),
        "frozen batch norm, cross-entropy": sg.objectives.Network(seeded(frozen), "cross_entropy", images, labels),
        "linear, user's loss": sg.objectives.Network(seeded(plain), huber, x, y),
    }


NETWORKS = networks()


def dense_references(network: sg.objectives.Network, theta: Tensor) -> dict[str, Tensor]:
    """H, G, M, Σ from whole Jacobians of a module called plainly: no operator, no vmap."""
    x, y = network.inputs.at(theta), network.targets.at(theta)

    def outputs(t: Tensor) -> Tensor:
        named = {name: part[0] for name, part in network.unflatten(t[None]).items()}
        return torch.func.functional_call(network.module.to(t), {**{k: v.at(t) for k, v in network.constants.items()}, **named}, (x,))

    def losses(t: Tensor) -> Tensor:
        return network.loss_function(outputs(t), y)

    H = torch.autograd.functional.hessian(lambda t: losses(t).mean(), theta)
    J = torch.autograd.functional.jacobian(outputs, theta)  # [n, c, dim]
    z = outputs(theta).detach()
    A = torch.stack([torch.autograd.functional.hessian(lambda o, i=i: network.loss_function(o[None], y[i : i + 1])[0], z[i]) for i in range(len(z))])
    g = torch.autograd.functional.jacobian(losses, theta)  # [n, dim]
    G, M = torch.einsum("nci,ncd,ndj->ij", J, A, J) / len(z), g.T @ g / len(z)
    return {"H": H, "G": G, "M": M, "Σ": M - torch.outer(g.mean(0), g.mean(0))}


def operators(network: sg.objectives.Network, theta: Tensor, **given: object) -> dict[str, curvature.Operator]:
    return {
        "H": curvature.hessian_operator(network, theta, **given),
        "G": curvature.gauss_newton_operator(network, theta, **given),
        "M": curvature.second_moment_operator(network, theta, **given),
        "Σ": curvature.covariance_operator(network, theta, **given),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_against_dense_autograd_and_finite_differences(name: str) -> None:
    """Own data at once, in pieces of 5, and from a loader in batches of 5: all equal the dense references; H also by central differences of g."""
    network = NETWORKS[name]
    theta = network.flatten()
    wanted = dense_references(network, theta)
    x, y = network.inputs.original, network.targets.original
    loader = DataLoader(TensorDataset(x, y), batch_size=5)
    for given in ({}, {"piece": 12}, {"piece": 5}, {"data": loader}, {"data": loader, "piece": 2}):
        for key, operator in operators(network, theta, **given).items():
            assert torch.allclose(operator.dense(), wanted[key], atol=1e-11), (key, given)
    v, h = torch.randn(network.dim, generator=generator(1), dtype=torch.float64), 1e-6  # no ReLU switches between θ − hv and θ + hv
    forward, back = (sg.calculus.grad(network, (theta + sign * h * v)[None])[0] for sign in (1, -1))
    assert torch.allclose(curvature.hessian_operator(network, theta) @ v, (forward - back) / (2 * h), atol=5e-9)
    # M by finite differences of the sample losses alone
    up, down = (network.sample_loss((theta + sign * h * v)[None])[0] for sign in (1, -1))
    assert float(v @ (curvature.second_moment_operator(network, theta) @ v)) == pytest.approx(float((((up - down) / (2 * h)) ** 2).mean()), rel=1e-6)


@pytest.mark.parametrize("name", ["conv, cross-entropy", "layer norm, user's loss"])
def test_g_sigma_and_h_p_by_finite_differences(name: str) -> None:
    """vᵀGv, vᵀΣv and vᵀH_p v from losses and outputs alone, by central differences; the same with ½ for the second-order ones forgotten is far off."""
    network = NETWORKS[name]
    theta, h = network.flatten(), 1e-4
    v = torch.nn.functional.normalize(torch.randn(network.dim, generator=generator(2), dtype=torch.float64), dim=0)
    points = torch.stack([theta - h * v, theta, theta + h * v])
    with torch.no_grad():
        losses, outputs = network.sample_loss(points), network.outputs(points)
    slopes = (losses[2] - losses[0]) / (2 * h)
    quadratic = {key: float(v @ (operator @ v)) for key, operator in operators(network, theta).items()}
    assert quadratic["Σ"] == pytest.approx(float(slopes.var(correction=0)), rel=1e-6)
    moved = (outputs[2] - outputs[0]) / (2 * h)  # Jv
    ends = [network.loss_function(outputs[1] + sign * h * moved, network.targets.at(theta)) for sign in (-1, 0, 1)]
    assert quadratic["G"] == pytest.approx(float(((ends[2] - 2 * ends[1] + ends[0]) / h**2).mean()), rel=1e-5)
    p = (-losses).exp()
    H_p = float(v @ (curvature.h_p_operator(network, theta) @ v))
    assert H_p == pytest.approx(float(((p[2] - 2 * p[1] + p[0]) / h**2 / p[1]).mean()), rel=1e-5, abs=1e-6)
    assert quadratic["G"] != pytest.approx(0.5 * float(((ends[2] - 2 * ends[1] + ends[0]) / h**2).mean()), rel=0.1)


def test_closed_form_three_ways_on_least_squares() -> None:
    """H = XᵀX/n, M = (1/n)Σrᵢ²xᵢxᵢᵀ: the objective's formula, autograd in one piece and in two."""
    X = torch.randn(9, 4, generator=generator(2), dtype=torch.float64)
    y = torch.randn(9, generator=generator(3), dtype=torch.float64)
    f = sg.objectives.LeastSquares(X, y)
    theta = torch.randn(4, generator=generator(4), dtype=torch.float64)
    scale = float(sg.calculus.hessian_autodiff(f, theta[None])[0][0, 0] / (X.T @ X / 9)[0, 0])  # ½ or 1 before the square
    assert isinstance(curvature.hessian_operator(f, theta), KnownHessian)
    assert isinstance(curvature.hessian_operator(f, theta, piece=9), HessianOperator)
    for operator in (curvature.hessian_operator(f, theta), curvature.hessian_operator(f, theta, piece=9), curvature.hessian_operator(f, theta, piece=5)):
        assert torch.allclose(operator.dense(), scale * X.T @ X / 9, atol=1e-12)
    r = X @ theta - y
    M = curvature.second_moment_operator(f, theta, piece=4).dense()
    assert torch.allclose(M, scale**2 * (X * r[:, None]).T @ (X * r[:, None]) / 9, atol=1e-12)


def test_c1_h_is_m_minus_h_p_with_the_operator_and_from_a_loader() -> None:
    """C1: < 1e-12, H_p being an operator of its own; the squared loss with probabilities left out (H_p := ∇²p's mean) fails."""
    network = NETWORKS["conv, cross-entropy"]
    theta = network.flatten()
    loader = [(network.inputs.original[:7], network.targets.original[:7]), (network.inputs.original[7:], network.targets.original[7:])]
    H, M = curvature.hessian_operator(network, theta), curvature.second_moment_operator(network, theta)
    for H_p in (curvature.h_p_operator(network, theta), curvature.h_p_operator(network, theta, piece=5), curvature.h_p_operator(network, theta, data=loader)):
        assert float(((H - M).dense() + H_p.dense()).abs().max()) < 1e-12

    def probability(t: Tensor) -> Tensor:
        return (-network.sample_loss(t[None])[0]).exp().mean()

    unweighted = torch.autograd.functional.hessian(probability, theta)
    assert float(((H - M).dense() + unweighted).abs().max()) > 1e-2


def test_c2_and_c3_at_the_size_of_the_ledger() -> None:
    """Digits, 64-20-20-10, n = 50: layer blocks of H and G agree to 1e-14 of the largest entry, tr H = tr G, rank G ≤ 450 < rank H."""
    digits = sg.data.digits(count=50)
    module = nn.Sequential(nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 10)).double()
    network = sg.objectives.Network(module, "cross_entropy", digits.x, digits.y)
    theta = network.initial(1, generator(0))[0]
    H, G = curvature.hessian_operator(network, theta).dense(), curvature.gauss_newton_operator(network, theta).dense()
    for part in curvature.layer_blocks(network).values():
        assert float((H[part, part] - G[part, part]).abs().max()) < 1e-14 * float(G.abs().max())
    ranks = [int((torch.linalg.eigvalsh(A).abs() > 1e-12 * torch.linalg.eigvalsh(A).abs().max()).sum()) for A in (G, H)]
    assert ranks[0] <= 450 < ranks[1]


def test_layer_operators_are_the_blocks_of_the_matrix() -> None:
    network = NETWORKS["conv, cross-entropy"]
    theta = network.flatten()
    for operator in operators(network, theta).values():
        whole = operator.dense()
        named = curvature.layer_operators(operator, network)
        assert list(named) == ["0.weight", "0.bias", "4.weight", "4.bias"]
        for name, part in curvature.layer_blocks(network).items():
            assert torch.allclose(named[name].dense(), whole[part, part], atol=1e-12)
            assert name in named[name].label
    with pytest.raises(InputError, match="no operator of it"):
        curvature.layer_operators(curvature.Matrix(torch.eye(3)), network)


def test_preconditioned_spectrum() -> None:
    """P^{-1/2}HP^{-1/2} for a diagonal and for a matrix; its eigenvalues are those of P⁻¹H; a mutant with P⁻¹ on both sides differs."""
    network = NETWORKS["linear, user's loss"]
    H = curvature.hessian_operator(network, network.flatten())
    p = torch.rand(network.dim, generator=generator(5), dtype=torch.float64) + 0.1
    A = torch.randn(network.dim, network.dim, generator=generator(6), dtype=torch.float64)
    for P in (p, A @ A.T + torch.eye(network.dim)):
        full = torch.diag(P) if P.ndim == 1 else P
        wanted = torch.linalg.eigvals(torch.linalg.solve(full, H.dense())).real.sort().values
        assert torch.allclose(torch.linalg.eigvalsh(curvature.preconditioned(H, P).dense()), wanted, atol=1e-10)
    mutant = torch.linalg.eigvalsh(H.dense() / p[:, None] / p[None, :])
    assert not torch.allclose(mutant, torch.linalg.eigvalsh(curvature.preconditioned(H, p).dense()), rtol=1e-2)
    for bad, message in ((p[:3], "wanted"), (-p, "positive"), (A, "not symmetric")):
        with pytest.raises(InputError, match=message):
            curvature.preconditioned(H, bad)


def test_piecewise_linear_identity_is_used_where_it_holds_and_refused_elsewhere() -> None:
    """tr H by Hutch++ on G for ReLU with frozen BatchNorm; tanh, LayerNorm and a tied layer are refused by name."""
    network = NETWORKS["frozen batch norm, cross-entropy"]
    theta = network.flatten()
    found = curvature.piecewise_linear_trace(network, theta, products=30)
    exact = float(curvature.hessian_operator(network, theta).dense().trace())
    assert abs(found.value - exact) < 4.9 * found.stderr + 1e-9
    for name, tensor in (("conv, cross-entropy", "'0.weight'"), ("layer norm, squared error", "'0.weight'")):
        with pytest.raises(InputError, match=rf"block of {tensor}.*not piecewise linear"):
            curvature.piecewise_linear_trace(NETWORKS[name], NETWORKS[name].flatten())


class Tied(nn.Module):
    """The same weights twice."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.activation(self.first(x)))


def test_tied_and_frozen_parameters_are_handled_and_layer_identities_refused_for_them() -> None:
    module = Tied(nn.ReLU()).double()
    seeded(module)  # type: ignore[arg-type]
    module.first.bias.requires_grad_(False)
    x, y = torch.randn(8, 3, generator=generator(1), dtype=torch.float64), torch.arange(8) % 3
    network = sg.objectives.Network(module, "cross_entropy", x, y)
    theta = network.flatten()
    assert list(curvature.layer_blocks(network)) == ["first.weight", "second.bias"]
    assert network.dim == 12

    def loss(t: Tensor) -> Tensor:
        W = t[:9].reshape(3, 3)
        return nn.functional.cross_entropy((x @ W.T + module.first.bias.detach()).relu() @ W.T + t[9:], y)

    assert torch.allclose(curvature.hessian_operator(network, theta).dense(), torch.autograd.functional.hessian(loss, theta), atol=1e-12)
    with pytest.raises(InputError, match=r"first\.weight.*tied"):
        curvature.require_piecewise_linear(network, theta)
    with pytest.raises(InputError, match="tied"):
        curvature.kronecker_decoupling(network, theta, "first")
    with pytest.raises(InputError, match="frozen or tied"):
        curvature.layer_operator(curvature.hessian_operator(network, theta), network, "first.bias")


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_empty_layers() -> None:
    module = nn.Sequential(nn.Linear(3, 0, bias=False), nn.Linear(0, 2)).double()
    network = sg.objectives.Network(module, "cross_entropy", torch.randn(4, 3, generator=generator(), dtype=torch.float64), torch.arange(4) % 2)
    H = curvature.hessian_operator(network, torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(H.dense(), torch.tensor([[0.25, -0.25], [-0.25, 0.25]], dtype=torch.float64))
    assert list(curvature.layer_operators(H, network)) == ["1.bias"]
    with pytest.raises(InputError, match="empty layer"):
        curvature.layer_operator(H, network, "0.weight")


# modes and data that change


class Flickering:
    """A loader whose data are augmented anew at every pass."""

    def __init__(self, x: Tensor, y: Tensor, drop: bool = False) -> None:
        self.x, self.y, self.drop, self.passes = x, y, drop, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        if self.drop and self.passes % 2:
            yield self.x[:5], self.y[:5]
        elif self.drop:
            yield self.x, self.y
        else:
            yield self.x + 0.1 * torch.randn(self.x.shape, generator=generator(self.passes), dtype=self.x.dtype), self.y


def test_data_and_modes_that_change_between_calls_are_found_at_construction() -> None:
    network = NETWORKS["conv, cross-entropy"]
    theta, x, y = network.flatten(), network.inputs.original, network.targets.original
    with pytest.raises(InputError, match="differ between two passes"):
        curvature.hessian_operator(network, theta, data=Flickering(x, y))
    with pytest.raises(InputError, match="brought 12 samples, then 5: they change"):
        curvature.hessian_operator(network, theta, data=Flickering(x, y, drop=True))
    with pytest.raises(InputError, match="used up after one pass"):
        curvature.hessian_operator(network, theta, data=iter([(x, y)]))
    with pytest.raises(InputError, match="no pair"):
        curvature.hessian_operator(network, theta, data=[(x, y[:3])])
    with pytest.raises(InputError, match="brought no batch"):
        curvature.hessian_operator(network, theta, data=[])
    shuffled = DataLoader(TensorDataset(x, y), batch_size=5, shuffle=True, generator=generator(3))  # another order is no change
    assert torch.allclose(curvature.hessian_operator(network, theta, data=shuffled).dense(), curvature.hessian_operator(network, theta).dense(), atol=1e-12)


class Noisy(sg.Objective):
    """An objective with noise of its own: another loss each time, as with dropout left on."""

    dim, n = 2, 4

    def __init__(self) -> None:
        self.calls = generator(8)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        count = 4 if batch is None else batch.shape[1]
        return (theta**2).sum(1, keepdim=True) * torch.rand(count, generator=self.calls, dtype=theta.dtype)


def test_modes_that_change_are_found_at_construction() -> None:
    with pytest.raises(InputError, match="differ between two passes"):
        curvature.hessian_operator(Noisy(), torch.ones(2, dtype=torch.float64))
    changed = copy.deepcopy(NETWORKS["frozen batch norm, cross-entropy"])
    changed.module.train()  # behind the objective's back
    for build in (curvature.hessian_operator, curvature.gauss_newton_operator, curvature.second_moment_operator):
        with pytest.raises(InputError, match=r"BatchNorm in training mode"):
            build(changed, changed.flatten())


def test_mode_is_part_of_every_result() -> None:
    network = NETWORKS["frozen batch norm, cross-entropy"]
    H = curvature.hessian_operator(network, network.flatten())
    assert H.description == "Hessian (evaluation mode: BatchNorm frozen at running statistics (1); dropout off (4))"
    assert curvature.eigsh(H, 2).operator == H.description
    assert curvature.spectral_density(H, steps=4, vectors=2).operator == H.description
    assert "no layer has a mode" in curvature.hessian_operator(NETWORKS["linear, user's loss"], NETWORKS["linear, user's loss"].flatten()).description


def test_a_network_in_training_mode_keeps_its_samples_together() -> None:
    """BatchNorm by the statistics of all samples: H by finite differences; no gradients of single samples, no pieces."""
    module = seeded(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double())
    x = torch.randn(9, 3, generator=generator(), dtype=torch.float64)
    trained = sg.training.TrainingNetwork(module, "cross_entropy", x, torch.arange(9) % 2)
    objective = trained.objective()
    theta = trained.frozen.flatten()
    H = curvature.hessian_operator(objective, theta)
    assert H.memory.samples is None
    assert "BatchNorm" in H.description
    v, h = torch.randn(objective.dim, generator=generator(1), dtype=torch.float64), 1e-5
    forward, back = (sg.calculus.grad(objective, (theta + sign * h * v)[None])[0] for sign in (1, -1))
    assert torch.allclose(H @ v, (forward - back) / (2 * h), atol=1e-7)
    with pytest.raises(InputError, match="no gradient of its own"):
        curvature.second_moment_operator(objective, theta)
    with pytest.raises(InputError, match="one of all its samples"):
        curvature.hessian_operator(objective, theta, piece=3)


# memory


def test_memory_is_planned_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What autograd keeps for a sample is counted exactly for a known chain; a small budget cuts the data; too small a machine is refused."""
    network = NETWORKS["conv, cross-entropy"]
    theta = network.flatten()
    whole = curvature.hessian_operator(network, theta, piece=12).dense()
    monkeypatch.setattr(graph_memory, "BUDGET", 20_000)
    cut = HessianOperator(network, theta, label="Hessian")
    assert cut.memory.samples is not None
    assert 1 <= cut.memory.samples < 12
    assert cut.memory.bytes <= 20_000
    assert "samples at a time" in str(cut.memory)
    assert torch.allclose(cut.dense(), whole, atol=1e-12)
    monkeypatch.setattr(graph_memory, "available_bytes", lambda device: 100)
    with pytest.raises(InputError, match=r"would take .* GiB of"):
        curvature.hessian_operator(network, theta, piece=12)


def test_estimate_of_memory_is_that_of_the_graph() -> None:
    """x² with x = θ·1 keeps one number a sample: 8 bytes in float64."""

    class Squares(sg.Objective):
        dim, n = 1, 10

        def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
            count = 10 if batch is None else batch.shape[1]
            return (theta + torch.arange(count, dtype=theta.dtype)) ** 2

    operator = curvature.hessian_operator(Squares(), torch.tensor([1.0], dtype=torch.float64))
    assert operator.memory.sample_bytes == 8
    assert float(operator @ torch.ones(1, dtype=torch.float64)) == pytest.approx(2)


def test_losses_that_are_not_finite_and_wrong_pieces_are_refused() -> None:
    network = NETWORKS["linear, user's loss"]
    with pytest.raises(InputError, match="NaN or infinite"):
        curvature.hessian_operator(network, 1e200 * torch.ones(network.dim, dtype=torch.float64))
    with pytest.raises(InputError, match="wanted a number of samples"):
        curvature.hessian_operator(network, network.flatten(), piece=0)
    with pytest.raises(InputError, match=r"only sg\.objectives\.Network"):
        curvature.hessian_operator(sg.objectives.Quadratic([1.0, 2.0]), [0.0, 0.0], data=[])


def test_kronecker_operator_is_the_kronecker_product() -> None:
    A, B = torch.randn(3, 3, generator=generator(1), dtype=torch.float64), torch.randn(4, 4, generator=generator(2), dtype=torch.float64)
    A, B = A + A.T, B + B.T
    operator = curvature.Kronecker(A, B)
    assert torch.allclose(operator.dense(), torch.kron(A, B))
    assert not torch.allclose(curvature.Kronecker(B, A).dense(), torch.kron(A, B))
    v = np.random.default_rng(0).standard_normal((12, 5))
    assert np.allclose(operator.to_scipy() @ v, torch.kron(A, B).numpy() @ v)
    with pytest.raises(InputError, match="square"):
        curvature.Kronecker(A[:2], B)
