"""Kernels that make their steps of SGD's draws: they refuse what SGD refuses, before the run, and cut ensembles as SGD does."""

import pytest
import torch
from torch import Generator, Tensor

import sgdsde as sg
from sgdsde.kernels import SGD, SVAG, OptimizerSGD
from sgdsde.loop import default_block_size
from sgdsde.types import InputError

KERNELS = {"SGD": SGD, "SVAG": lambda noise, eta: SVAG(noise, eta, 3), "OptimizerSGD": OptimizerSGD}


class WrongDraw(sg.noises.Gaussian):
    """Draws one column too few."""

    def draw(self, theta: Tensor, generator: Generator) -> Tensor:
        return super().draw(theta, generator)[:, :1]


def wrong_covariance(theta: Tensor) -> Tensor:
    return torch.ones(len(theta), 3, 3, dtype=theta.dtype)


PLANE = sg.objectives.Quadratic([1.0, 2.0])
LINE = sg.objectives.SharedCurvature([1.0, 2.0], torch.randn(200, 2, generator=Generator().manual_seed(0), dtype=torch.float64))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (WrongDraw(PLANE, 1.0), r"WrongDraw.draw returned shape \(1, 1\) for points \(1, 2\)"),
        (sg.noises.Gaussian(PLANE, wrong_covariance), "covariance"),
    ],
    ids=["draw", "covariance"],
)
def test_a_noise_of_wrong_shape_is_refused_before_the_run(name: str, noise: sg.Noise, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sg.simulate(KERNELS[name](noise, 0.1), [0.0, 0.0], horizon=1.0, paths=8, seed=1)


@pytest.mark.parametrize("noise", [sg.noises.Minibatch(LINE, 100), sg.noises.Surrogate(sg.noises.Minibatch(LINE, 4))], ids=["minibatch", "surrogate"])
@pytest.mark.parametrize("name", KERNELS)
def test_the_width_counts_what_a_draw_touches(name: str, noise: sg.Noise) -> None:
    """A batch of 100 samples and a surrogate's root of 200 columns, not the two coordinates, decide how many paths fit a core's cache."""
    found = KERNELS[name](noise, 0.1)
    assert found.width == SGD(noise, 0.1).width >= 100
    assert (
        default_block_size(found, 100_000)
        == default_block_size(SGD(noise, 0.1), 100_000)
        < default_block_size(SGD(sg.noises.Gaussian(PLANE, 1.0), 0.1), 100_000)
    )
