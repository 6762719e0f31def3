"""Kronecker reports of convolutions, sequences, batch-normalised networks and data brought in batches, against dense matrices.

All is exact up to rounding but the estimated errors of blocks that are not formed: there 128 vectors of random signs give the error of the expanded product to
a few per cent; the tests ask for five standard errors (false alarm below 1e-6 each for normal errors) and a standard error below a tenth of the value.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import sgdsde as sg
from sgdsde import curvature
from sgdsde.curvature import kronecker_passes
from sgdsde.training import TrainingNetwork
from sgdsde.types import InputError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def convolutional(conv: nn.Conv2d, *, size: int = 5, samples: int = 12, norm: bool = False) -> tuple[sg.objectives.Network, Tensor]:
    """conv → (BatchNorm, frozen) → ReLU → conv → ReLU → linear, 3 classes."""
    g = generator(4)
    x = torch.randn(samples, conv.in_channels, size, size, generator=g, dtype=torch.float64)
    middle: list[nn.Module] = [nn.BatchNorm2d(conv.out_channels)] if norm else []
    head = nn.Sequential(conv, *middle, nn.ReLU(), nn.Conv2d(conv.out_channels, 3, 2), nn.ReLU(), nn.Flatten()).double().eval()
    if norm:
        head[1].running_var.uniform_(0.5, 2.0, generator=g)  # type: ignore[union-attr, operator]
    width = head(x[:1]).shape[1]
    network = sg.objectives.Network(nn.Sequential(*head, nn.Linear(width, 3)).double().eval(), "cross_entropy", x, torch.arange(samples) % 3)
    return network, network.initial(1, g)[0]


CONVOLUTIONS = {
    "plain": nn.Conv2d(2, 4, 3),
    "strides, border": nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0)),
    "dilated, same": nn.Conv2d(1, 4, 2, dilation=2, padding="same", bias=False),
    "reflected": nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
    "one by one": nn.Conv2d(2, 3, 1),
}


def block_of_g(network: sg.objectives.Network, theta: Tensor, layer: str) -> Tensor:
    part = curvature.layer_blocks(network)[f"{layer}.weight"]
    return curvature.gauss_newton_operator(network, theta).dense()[part, part]


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_block_of_a_convolution_is_that_of_the_gauss_newton_matrix(name: str) -> None:
    """Its own block, whatever strides, borders and dilation; the errors are those of dense Kronecker products; nothing is better than the best one."""
    network, theta = convolutional(CONVOLUTIONS[name])
    for layer in ("0", "2"):
        G = block_of_g(network, theta, layer)
        report = curvature.kronecker_decoupling(network, theta, layer)
        assert torch.allclose(report.block, G, atol=1e-13)
        assert float((report.product.dense() - G).norm() / G.norm()) == pytest.approx(report.error, rel=1e-9)
        assert float((report.reduced.dense() - G).norm() / G.norm()) == pytest.approx(report.reduced_error, rel=1e-9)
        assert float((report.best.dense() - G).norm() / G.norm()) == pytest.approx(report.best_error, rel=1e-9)
        singular = torch.linalg.svdvals(kronecker_passes.rearranged(G, report.left.shape[0], report.right.shape[0]))
        assert float((singular[1:] ** 2).sum().sqrt() / G.norm()) == pytest.approx(report.best_error, rel=1e-6)
        assert report.positions > 1
        assert report.stderr == 0


def factors_by_hand(network: sg.objectives.Network, theta: Tensor, conv: nn.Conv2d) -> tuple[Tensor, Tensor, int]:
    """KFC's factors of the first layer by loops over samples and pixels: patches cut by hand, curvatures by autograd at single outputs."""
    module = network.module_at(theta)
    rest = nn.Sequential(*list(module)[1:])
    x = network.inputs.at(theta[None])
    (height, width), (dy, dx) = conv.kernel_size, conv.stride
    left, right = torch.zeros(conv.out_channels, conv.out_channels).double(), torch.zeros(conv.weight[0].numel(), conv.weight[0].numel()).double()
    for i in range(len(x)):
        z = module[0](x[i : i + 1]).detach()
        J = torch.autograd.functional.jacobian(lambda z: rest(z)[0], z)[:, 0]  # [c, out, h, w]
        p = rest(z)[0].softmax(0).detach()
        A = torch.diag(p) - torch.outer(p, p)
        for r in range(z.shape[2]):
            for c in range(z.shape[3]):
                patch = x[i, :, r * dy : r * dy + height, c * dx : c * dx + width].flatten()
                right += torch.outer(patch, patch)
                left += J[:, :, r, c].T @ A @ J[:, :, r, c]
    positions = z.shape[2] * z.shape[3]
    return left.detach() / (len(x) * positions), right / len(x), positions


def test_expanded_factors_by_loops_over_pixels() -> None:
    """KFC: (1/S)E Σ_s M_ss and E Σ_s x_s x_sᵀ; without the 1/S (mutant) the product is S times too large."""
    conv = nn.Conv2d(2, 4, 3, stride=(1, 2))
    network, theta = convolutional(conv)
    left, right, positions = factors_by_hand(network, theta, conv)
    report = curvature.kronecker_decoupling(network, theta, "0")
    assert report.positions == positions
    assert torch.allclose(report.left, left, atol=1e-13)
    assert torch.allclose(report.right, right, atol=1e-12)
    assert not torch.allclose(report.left, left * positions, rtol=0.5)


def test_the_reduced_product_is_exact_where_positions_are_averaged_linearly() -> None:
    """One linear layer on sequences, mean over positions, squared error: o = W x̄, so the block is E[A ⊗ x̄x̄ᵀ]; the expanded product misses s ≠ t."""

    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(1)

    x = torch.randn(9, 6, 4, generator=generator(), dtype=torch.float64) + 1
    module = nn.Sequential(nn.Linear(4, 3), Mean()).double()
    network = sg.objectives.Network(module, "mse", x, torch.randn(9, 3, generator=generator(1), dtype=torch.float64))
    theta = network.initial(1, generator(2))[0]
    report = curvature.kronecker_decoupling(network, theta, "0")
    assert report.positions == 6
    assert torch.allclose(report.block, block_of_g(network, theta, "0"), atol=1e-13)
    assert report.reduced_error < 1e-12
    assert report.best_error < 1e-7
    assert report.error > 0.5
    assert torch.allclose(report.mean, x.mean((0, 1)))
    moment = torch.einsum("nsi,nsj->ij", x, x) / 54
    assert report.second_moment_share == pytest.approx(float((moment - torch.outer(report.mean, report.mean)).norm() / moment.norm()))


class Uneven:
    """Batches of 5, 1 and the rest, brought anew at each pass, in another order each time; ``drift``: other data each time."""

    def __init__(self, x: Tensor, y: Tensor, drift: float = 0.0) -> None:
        self.x, self.y, self.drift, self.passes = x, y, drift, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        cuts = [slice(0, 5), slice(5, 6), slice(6, None)]
        for part in cuts if self.passes % 2 else reversed(cuts):
            yield self.x[part] + self.drift * self.passes, self.y[part]


def dense_relu(samples: int = 30) -> tuple[sg.objectives.Network, Tensor]:
    g = generator(4)
    x = torch.randn(samples, 4, generator=g, dtype=torch.float64)
    module = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    network = sg.objectives.Network(module, "cross_entropy", x, torch.arange(samples) % 3)
    return network, network.initial(1, g)[0]


@pytest.mark.parametrize("layer", ["0", "2", "4"])
def test_data_in_batches_give_the_report_of_all_at_once(layer: str) -> None:
    """Twice the same samples in two networks: one holds them, one is given them in uneven batches and holds others itself."""
    network, theta = dense_relu()
    x, y = network.inputs.at(theta[None]), network.targets.at(theta[None])
    other = sg.objectives.Network(network.module, "cross_entropy", x[:2] * 3, y[:2])
    whole = curvature.kronecker_decoupling(network, theta, layer)
    for batches in (Uneven(x, y), DataLoader(TensorDataset(x, y), batch_size=7)):
        found = curvature.kronecker_decoupling(other, theta, layer, data=batches)
        assert torch.allclose(found.block, whole.block, atol=1e-14)
        for name in ("left", "right", "mean", "best_left", "best_right"):
            assert torch.allclose(getattr(found, name), getattr(whole, name), atol=1e-7), name
        assert found.error == pytest.approx(whole.error, rel=1e-8)
        assert found.best_error == pytest.approx(whole.best_error, rel=1e-6)
        assert (found.mean_share, found.gap, found.second_moment_share) == pytest.approx((whole.mean_share, whole.gap, whole.second_moment_share))
        assert "30 samples of a loader" in found.source


def test_blocks_too_large_to_form_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same layers, none formed and nothing kept: five standard errors; products with the block and factors of the best product against dense ones."""
    network, theta = convolutional(nn.Conv2d(2, 4, 3))
    for layer in ("0", "2", "5"):
        exact = curvature.kronecker_decoupling(network, theta, layer)
        with monkeypatch.context() as patched:
            patched.setattr(kronecker_passes, "_FORMED", 0)
            patched.setattr("sgdsde.curvature.kronecker_samples._NUMBERS", 300)
            found = curvature.kronecker_decoupling(network, theta, layer, data=[(network.inputs.at(theta[None]), network.targets.at(theta[None]))])
            v = torch.randn(2, *network.module_at(theta).get_submodule(layer).weight.shape, generator=generator(), dtype=torch.float64).flatten(2)  # type: ignore[union-attr, operator]
            assert torch.allclose(found.samples.times(v).flatten(1), v.flatten(1) @ exact.block, atol=1e-13)
        assert 0 < found.stderr < 0.1 * exact.error
        assert abs(found.error - exact.error) < 5 * found.stderr
        assert abs(found.best_error - exact.best_error) < 0.15 * exact.best_error
        assert torch.allclose(found.best.dense(), exact.best.dense(), atol=1e-3 * float(exact.block.norm()))


@pytest.mark.parametrize("norm", ["1d", "2d"])
def test_batch_normalised_layers_in_evaluation_mode(norm: str) -> None:
    """The block is that of H (piecewise linear: frozen BatchNorm is affine), at the statistics of the training set; the mode is part of the report."""
    g = generator(3)
    x = torch.rand(20, 6, generator=g, dtype=torch.float64) if norm == "1d" else torch.rand(20, 1, 4, 4, generator=g, dtype=torch.float64)
    first: list[nn.Module] = (
        [nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()] if norm == "1d" else [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten()]
    )
    module = nn.Sequential(*first, nn.Linear(5 if norm == "1d" else 12, 3)).double()
    trained = TrainingNetwork(module, "cross_entropy", x, torch.arange(20) % 3)
    theta = trained.frozen.initial(1, g)[0]
    with pytest.raises(InputError, match=r"each sample's own curvature.*frozen_at"):
        curvature.kronecker_decoupling(trained.objective(), theta, "0")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="BatchNorm in training mode"):
        sg.objectives.Network(module.train(), "cross_entropy", x, torch.arange(20) % 3)
    network = trained.frozen_at(theta)
    assert torch.allclose(network.outputs(theta[None])[0], trained.outputs(theta[None])[0], atol=1e-14)
    assert not torch.allclose(network.outputs(theta[None])[0], trained.frozen.outputs(theta[None])[0], atol=1e-3)  # running statistics of no training
    report = curvature.kronecker_decoupling(network, theta, "0")
    assert "BatchNorm frozen" in report.mode
    part = curvature.layer_blocks(network)["0.weight"]
    assert torch.allclose(report.block, curvature.hessian_operator(network, theta).dense()[part, part], atol=1e-13)


def test_what_has_no_kronecker_form_is_refused_in_words() -> None:
    network, theta = convolutional(nn.Conv2d(2, 4, 3, groups=2))
    with pytest.raises(InputError, match="groups = 2"):
        curvature.kronecker_decoupling(network, theta, "0")
    with pytest.raises(InputError, match=r"no nn\.Linear or nn\.Conv2d"):
        curvature.kronecker_decoupling(network, theta, "1")
    x, y = network.inputs.at(theta[None]), network.targets.at(theta[None])
    with pytest.raises(InputError, match="differ between two passes"):
        curvature.kronecker_decoupling(network, theta, "2", data=Uneven(x, y, drift=0.1))
    with pytest.raises(InputError, match="an iterator"):
        curvature.kronecker_decoupling(network, theta, "2", data=iter([(x, y)]))

    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    idle = sg.objectives.Network(Unused().double(), "mse", torch.ones(3, 2).double(), torch.ones(3, 2).double())
    with pytest.raises(InputError, match="not used in a forward pass"):
        curvature.kronecker_decoupling(idle, idle.initial(1, generator())[0], "spare")
