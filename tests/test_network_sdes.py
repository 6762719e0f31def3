"""SDE models on an 18-parameter network of digits through two independent integrators, torchsde's and this package's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.stats import CheckFailed, check_mean

T64 = torch.float64
ETA, SUBSTEPS, TICKS, PATHS = 0.25, 2, 4, 1500


def network() -> sg.objectives.Network:
    """Odd against even digits on five principal components, two hidden units: 18 parameters."""
    data = sg.data.digits(components=5).against((1, 3, 5, 7, 9)).take(60)
    x = torch.as_tensor(data.x, dtype=T64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = nn.Sequential(nn.Linear(5, 2), nn.Tanh(), nn.Linear(2, 2)).double()
    f = sg.objectives.Network(module, "cross_entropy", x / x.std(), torch.as_tensor(data.y))
    assert f.dim == 18
    return f


def additive(f: sg.objectives.Network) -> sg.noises.Gaussian:
    """Gaussian noise with the covariance that minibatches of four have at the start."""
    theta = f.flatten()[None]
    return sg.noises.Gaussian(f, sg.noises.Minibatch(f, 4).covariance(theta)[0])


def run(kernel: sg.Kernel, f: sg.objectives.Network, *, seed: int, device: str = "cpu") -> Tensor:
    start = f.flatten().to(device)
    return sg.simulate(kernel, start, horizon=TICKS * ETA, paths=PATHS, seed=seed, progress=False).states[-1].cpu()


def agree(f: sg.objectives.Network, a: Tensor, b: Tensor) -> None:
    """Means of the loss, of the parameters and of their squares at the end, 1,500 paths each: false alarm 1e-6 a set, resolves 0.3 standard deviations."""
    start = f.flatten()
    for values in (lambda x: f.loss(x)[:, None], lambda x: x - start, lambda x: (x - start) ** 2):
        first, second = values(a), values(b)
        scale = torch.cat([first, second]).std(0)
        check_mean((first - second) / (2**0.5 * scale), torch.zeros(first.shape[1]))  # independent runs, paired by chance


@pytest.mark.parametrize("model", [sg.sdes.SME1, sg.sdes.SME2])
def test_torchsdes_srk_and_our_heun_agree_on_the_network(model: Any) -> None:
    """Both have weak order 2 for additive noise: at two steps a tick what is left between them is Monte-Carlo error."""
    f = network()
    sde = model(additive(f), ETA)
    agree(f, run(sg.kernels.TorchSDE(sde, ETA / SUBSTEPS, "srk"), f, seed=1), run(sg.kernels.Heun(sde, ETA / SUBSTEPS), f, seed=2))


class RootOfEta(sg.sdes.SME2):
    """Noise η where √η belongs."""

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return super().diffuse(t, x, dw) * self.eta**0.5


class Doubled(sg.sdes.SME2):
    """Twice the drift."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        return 2 * super().drift(t, x)


@pytest.mark.parametrize("mutant", [RootOfEta, Doubled])
def test_mutants_fail(mutant: Any) -> None:
    f = network()
    right = run(sg.kernels.Heun(sg.sdes.SME2(additive(f), ETA), ETA / SUBSTEPS), f, seed=2)
    with pytest.raises(CheckFailed):
        agree(f, run(sg.kernels.TorchSDE(mutant(additive(f), ETA), ETA / SUBSTEPS, "srk"), f, seed=1), right)


@pytest.mark.parametrize("model", [sg.sdes.HASMEProduct, sg.sdes.HASME])
def test_state_dependent_noise_path_by_path(model: Any) -> None:
    """Minibatch noise: torchsde's Euler and ours draw the same increments from the same stream, so their paths are equal to rounding.

    (The symmetric root of a singular Q turns rounding of 1e-16 into 1e-8.)
    """
    f = network()
    settings = {"psd": "project"} if model is sg.sdes.HASME else {}
    sde = model(sg.noises.Minibatch(f, 4), ETA / 4, log="clip", **settings)
    ends = [
        sg.simulate(kernel, f.flatten(), horizon=ETA, paths=20, seed=5, progress=False).states[-1]
        for kernel in (sg.kernels.TorchSDE(sde, ETA / 8, "euler"), sg.kernels.EulerMaruyama(sde, ETA / 8))
    ]
    assert torch.allclose(ends[0], ends[1], rtol=0, atol=1e-12 if model is sg.sdes.HASMEProduct else 1e-7)
    assert float((ends[0] - f.flatten()).norm()) > 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_torchsde_on_the_gpu_agrees_with_heun_on_the_cpu() -> None:
    f = network()
    sde = sg.sdes.SME2(additive(f), ETA)
    agree(f, run(sg.kernels.TorchSDE(sde, ETA / SUBSTEPS, "srk"), f, seed=1, device="cuda"), run(sg.kernels.Heun(sde, ETA / SUBSTEPS), f, seed=2))
