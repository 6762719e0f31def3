"""Where networks start: named distributions, orthogonal weights, files that give back the bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from chain_networks import T64, classifier, close, convolution, generator, normal, regression
from torch import nn

import sgdsde as sg
from sgdsde.objectives import InitialDistribution, Network, load_networks, save_networks
from sgdsde.types import InputError


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
