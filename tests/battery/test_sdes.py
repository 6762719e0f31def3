"""Every SDE model: its parts agree with each other and with the limit η → 0, on paths that do not interact."""

import pickle
from typing import Any

import pytest
import torch
from battery.found import classes, examples
from torch import Tensor

import sgdsde as sg
from sgdsde.sde import SDE

ALL = examples(sg.sdes, SDE)
MODELS = classes(sg.sdes, SDE)
T = 0.3


def points(sde: SDE, count: int = 6) -> Tensor:
    return 0.7 * torch.randn(count, sde.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def increments(sde: SDE, count: int = 6) -> Tensor:
    return torch.randn(count, sde.noise_dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def square_agrees(sde: SDE) -> None:
    """Q is what D does to every basis increment, squared."""
    x = points(sde)
    Q = SDE.diffusion(sde, T, x) if sde.noise_dim else torch.zeros(len(x), sde.dim, sde.dim, dtype=torch.float64)
    assert torch.allclose(sde.diffusion(T, x), Q, rtol=1e-9, atol=1e-13)


def terms_agree(sde: SDE) -> None:
    """The shared evaluation is the two single ones."""
    x, dw = points(sde), increments(sde)
    drift, noise = sde.terms(T, x, dw)
    assert torch.allclose(drift, sde.drift(T, x), rtol=1e-12, atol=1e-14)
    assert torch.allclose(noise, sde.diffuse(T, x, dw), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cls", MODELS)
def test_class_brings_examples(cls: Any) -> None:
    assert cls.examples()


@pytest.mark.parametrize("sde", ALL)
def test_diffusion_is_the_square_of_diffuse(sde: SDE) -> None:
    square_agrees(sde)


@pytest.mark.parametrize("sde", ALL)
def test_terms_are_drift_and_diffuse(sde: SDE) -> None:
    terms_agree(sde)


@pytest.mark.parametrize("sde", ALL)
def test_diffuse_is_linear_in_the_increment(sde: SDE) -> None:
    x, dw = points(sde), increments(sde)
    assert torch.allclose(sde.diffuse(T, x, 3 * dw - dw.flip(0)), 3 * sde.diffuse(T, x, dw) - sde.diffuse(T, x, dw.flip(0)), atol=1e-12)


@pytest.mark.parametrize("sde", ALL)
def test_affine_form_is_the_model(sde: SDE) -> None:
    affine = sde.affine()
    constant = sde.objective.facts.constant_hessian and (sde.noise.constant_covariance or sde.noise_dim == 0)
    assert (affine is not None) == constant
    if affine is not None:
        A, c, Q = affine
        x = points(sde)
        assert torch.allclose(sde.drift(T, x), x @ A.T + c, rtol=1e-11, atol=1e-12)
        assert torch.allclose(sde.diffusion(T, x), Q.expand(len(x), -1, -1), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("sde", ALL)
def test_additive_says_whether_the_diffusion_depends_on_the_state(sde: SDE) -> None:
    x = points(sde)
    dw = increments(sde)[:1].expand(len(x), -1)
    moved = sde.diffuse(T, x, dw)
    assert sde.additive == torch.allclose(moved, moved[:1].expand_as(moved), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sde", ALL)
def test_models_tend_to_the_gradient_flow_and_to_eta_sigma(sde: SDE) -> None:
    """As η → 0: b → −g, the difference shrinking like η; Q/η → Σ (isotropic of the same trace for Langevin, nothing for flows)."""
    x = points(sde)
    g = sg.calculus.grad(sde.objective, x)
    sigma = sde.noise.covariance(x)
    if isinstance(sde, sg.sdes.Langevin):
        sigma = torch.eye(sde.dim, dtype=torch.float64) * sigma.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    if sde.noise_dim == 0:
        sigma = torch.zeros_like(sigma)
    gaps = []
    for eta in (1e-3, 1e-4):
        model = type(sde)(sde.noise, eta)
        gaps.append(torch.stack([(model.drift(T, x) + g).abs().max(), (model.diffusion(T, x) / eta - sigma).abs().max()]))
    assert float(gaps[0].max()) < 0.05
    for large, small in zip(*gaps, strict=True):
        assert float(small) < 1e-10 or float(large / small) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("sde", ALL)
def test_dtype_of_the_points_is_kept_and_float32_agrees(sde: SDE) -> None:
    x, dw = points(sde), increments(sde)
    for double, single in zip(sde.terms(T, x, dw), sde.terms(T, x.float(), dw.float()), strict=True):
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), double, rtol=2e-4, atol=2e-5)
    assert sde.diffusion(T, x.float()).dtype == torch.float32


@pytest.mark.parametrize("sde", ALL)
def test_paths_do_not_interact_and_a_broken_one_harms_no_other(sde: SDE) -> None:
    x, dw = points(sde), increments(sde)
    drift, noise = sde.terms(T, x, dw)
    x[2] = torch.nan
    broken_drift, broken_noise = sde.terms(T, x, dw)
    others = [0, 1, 3, 4, 5]
    assert torch.allclose(broken_drift[others], drift[others], rtol=1e-10, atol=1e-12)
    assert torch.allclose(broken_noise[others], noise[others], rtol=1e-10, atol=1e-12)
    assert not bool(torch.isfinite(broken_drift[2]).all())


@pytest.mark.parametrize("sde", ALL)
def test_model_travels_to_workers(sde: SDE) -> None:
    copy, x, dw = pickle.loads(pickle.dumps(sde)), points(sde), increments(sde)
    for mine, its in zip(sde.terms(T, x, dw), copy.terms(T, x, dw), strict=True):
        assert torch.equal(mine, its)
    assert copy.conventions().eta == sde.eta


def test_models_of_minibatch_noise_use_its_root() -> None:
    """noise_dim is n where D is a product with the noise's root; dense HA-SME has dim."""
    noise = sg.noises.Minibatch.examples()[2]
    for cls in (sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SPF, sg.sdes.HASMEProduct):
        sde = cls(noise, 0.1)
        assert sde.noise_dim == noise.objective.n
        square_agrees(sde)
        terms_agree(sde)
    assert sg.sdes.HASME(noise, 0.1).noise_dim == noise.objective.dim


class RootOfEta(sg.sdes.SME1):
    """√η missing."""

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return super().diffuse(t, x, dw) * self.eta**0.5


class Stale(sg.sdes.SME2):
    """Terms that leave out the ½."""

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        drift, noise = super().terms(t, x, dw)
        return 2 * drift + sg.calculus.grad(self.objective, x), noise


@pytest.mark.parametrize(
    ("mutant", "test"),
    [(RootOfEta.examples()[0], square_agrees), (Stale.examples()[2], terms_agree)],
)
def test_mutants_fail(mutant: SDE, test: Any) -> None:
    with pytest.raises(AssertionError):
        test(mutant)
