"""Every SDE model: its parts agree with each other, with the limit η → 0 and, for the models of the literature, with independent implementations."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import torch
from battery.found import classes, examples
from torch import Tensor

import sgdsde as sg
from sgdsde.noise import Noise
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.sde import SDE
from sgdsde.types import DomainError, InputError, Status, tallying

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


# --- independent implementations -------------------------------------------------------------------------------------------------------------


def problem(dim: int, seed: int, *, largest: float = 0.9) -> tuple[np.ndarray, np.ndarray, float]:
    """A random indefinite Hessian with ηλ in [−largest, largest], a covariance that does not commute with it, and η."""
    rng = np.random.default_rng(seed)
    eta = 0.3
    U, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    H = U @ np.diag(rng.uniform(-largest, largest, dim) / eta) @ U.T
    W = rng.normal(size=(dim, 2 * dim + 2))
    return (H + H.T) / 2, W @ W.T / W.shape[1], eta


def quadratic_noise(H: np.ndarray, sigma: np.ndarray) -> Noise:
    return sg.noises.Gaussian(sg.objectives.Quadratic(H), sigma)


def flow_by_quadrature(H: np.ndarray, g: np.ndarray, eta: float) -> np.ndarray:
    """L = −∫₀¹(I − sηH)⁻¹g ds."""
    eye = np.eye(len(H))
    return -scipy.integrate.quad_vec(lambda s: np.linalg.solve(eye - s * eta * H, g), 0, 1, epsabs=1e-13, epsrel=1e-13)[0]


def diffusion_by_lyapunov(H: np.ndarray, sigma: np.ndarray, eta: float) -> np.ndarray:
    """Q = −(AC + CA) with C − MCM = η²Σ, A = log(M)/η, M = I − ηH: no eigenvectors."""
    M = np.eye(len(H)) - eta * H
    C = scipy.linalg.solve_discrete_lyapunov(M, eta**2 * sigma, method="direct")
    A = np.real(scipy.linalg.logm(M)) / eta
    return -(A @ C + C @ A)


def one_step(sde: SDE) -> tuple[np.ndarray, np.ndarray]:
    """The exact law of a linear SDE over η: e^{Aη} and ∫₀^η e^{As}Qe^{Aᵀs}ds, from one block exponential (Van Loan 1978)."""
    A, _, Q = (part.numpy() for part in sde.affine())
    d = len(A)
    block = scipy.linalg.expm(sde.eta * np.block([[-A, Q], [np.zeros((d, d)), A.T]]))
    return block[d:, d:].T, block[d:, d:].T @ block[:d, d:]


@pytest.mark.parametrize(("dim", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3)])
def test_hasme_agrees_with_an_implementation_without_eigenvectors(dim: int, seed: int) -> None:
    H, sigma, eta = problem(dim, seed)
    sde = sg.sdes.HASME(quadratic_noise(H, sigma), eta)
    x = np.random.default_rng(seed).normal(size=dim)
    point = torch.from_numpy(x)[None]
    assert np.allclose(sde.drift(0.0, point)[0], flow_by_quadrature(H, H @ x, eta), rtol=1e-10, atol=1e-11)
    assert np.allclose(sde.diffusion(0.0, point)[0], diffusion_by_lyapunov(H, sigma, eta), rtol=1e-8, atol=1e-10)


def test_hasme_agrees_where_hessian_and_covariance_depend_on_the_state() -> None:
    """A coupled torus and Σ = I + θθᵀ, so that no fact of quadratics is used."""
    objective = sg.objectives.PeriodicWell(3, curvature=1.5, amplitude=0.5, coupling=-0.3)
    eta, sde = 0.2, sg.sdes.HASME(sg.noises.Gaussian(objective, growing_covariance), 0.2)
    x = points(sde, 4)
    H, g, sigma = (f.numpy() for f in (sg.calculus.hessian_autodiff(objective, x), sg.calculus.grad_autodiff(objective, x), growing_covariance(x)))
    for i in range(4):
        assert np.allclose(sde.drift(0.0, x)[i], flow_by_quadrature(H[i], g[i], eta), rtol=1e-9, atol=1e-10)
        assert np.allclose(sde.diffusion(0.0, x)[i], diffusion_by_lyapunov(H[i], sigma[i], eta), rtol=1e-8, atol=1e-10)


def exactly_sgd(sde: SDE) -> None:
    """Its exact law over η is one step of SGD, relative error < 1e-12."""
    M = np.eye(sde.dim) - sde.eta * sde.objective.matrix.numpy()
    V = sde.eta**2 * sde.noise.covariance(torch.zeros(1, sde.dim, dtype=torch.float64))[0].numpy()
    mean, covariance = one_step(sde)
    assert np.abs(mean - M).max() < 1e-12 * np.abs(M).max()
    assert np.abs(covariance - V).max() < 1e-12 * np.abs(V).max()


@pytest.mark.parametrize("dim", [1, 2, 3, 5, 10, 20, 50])
def test_hasme_steps_exactly_like_sgd_on_quadratics(dim: int) -> None:
    """Random indefinite H and Σ that do not commute; the flow's mean alone for the principal flow."""
    for seed in range(5):
        H, sigma, eta = problem(dim, seed)
        exactly_sgd(sg.sdes.HASME(quadratic_noise(H, sigma), eta))
        mean, _ = one_step(sg.sdes.PrincipalFlow(quadratic_noise(H, sigma), eta))
        assert np.abs(mean - (np.eye(dim) - eta * H)).max() < 1e-12 * np.abs(mean).max()


@pytest.mark.parametrize("model", [sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SPF, sg.sdes.HASMEProduct, sg.sdes.GradientFlow])
def test_other_models_do_not(model: Any) -> None:
    with pytest.raises(AssertionError):
        exactly_sgd(model(quadratic_noise(*problem(3, 0)[:2]), 0.3))


@pytest.mark.parametrize("dim", [2, 5, 20, 50])
def test_product_form_keeps_the_variance_of_every_eigendirection(dim: int) -> None:
    """Diagonal of UᵀVU against η²UᵀΣU below 1e-12; off the diagonal it differs, and it is positive for a Σ of rank one."""
    H, sigma, eta = problem(dim, 7)
    U = np.linalg.eigh(H)[1]
    _, V = one_step(sg.sdes.HASMEProduct(quadratic_noise(H, sigma), eta))
    gap = U.T @ (V - eta**2 * sigma) @ U / (eta**2 * np.abs(sigma).max())
    assert np.abs(np.diag(gap)).max() < 1e-12
    assert np.abs(gap).max() > 1e-5
    v = np.random.default_rng(0).normal(size=dim)
    Q = sg.sdes.HASMEProduct(quadratic_noise(H, np.outer(v, v)), eta).affine()[2]
    assert float(torch.linalg.eigvalsh(Q)[0]) > -1e-12 * float(Q.abs().max())


def test_product_form_is_hasme_where_noise_commutes_with_curvature() -> None:
    H, _, eta = problem(6, 8)
    noise = quadratic_noise(H, H @ H + 0.3 * np.eye(6))
    assert torch.allclose(sg.sdes.HASMEProduct(noise, eta).affine()[2], sg.sdes.HASME(noise, eta).affine()[2], rtol=1e-10, atol=1e-12)
    other = quadratic_noise(*problem(6, 8)[:2])
    assert not torch.allclose(sg.sdes.HASMEProduct(other, eta).affine()[2], sg.sdes.HASME(other, eta).affine()[2], rtol=1e-4)


def test_sme2_follows_the_modified_loss() -> None:
    """b = −∇(f + (η/4)|∇f|²), by autodiff of the modified loss; without the ½ it fails."""
    for sde in sg.sdes.SME2.examples():
        x = points(sde).requires_grad_(True)
        losses = sde.objective.sample_loss(x).mean(1).sum()
        (g,) = torch.autograd.grad(losses, x, create_graph=True)
        (whole,) = torch.autograd.grad((losses + sde.eta / 4 * (g**2).sum()), x)
        assert torch.allclose(sde.drift(T, x.detach()), -whole, rtol=1e-11, atol=1e-13)
        (wrong,) = torch.autograd.grad(sde.objective.sample_loss(x).mean(1).sum(), x)
        assert not torch.allclose(sde.drift(T, x.detach()), -wrong - 2 * (whole - wrong), rtol=1e-4)


def test_models_share_what_they_say_they_share() -> None:
    """SPF and HA-SME share the principal flow's drift; SME-1, SME-2 and SPF the diffusion ηΣ."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(2), growing_covariance)
    made = {cls: cls(noise, 0.05) for cls in (sg.sdes.PrincipalFlow, sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct, sg.sdes.SME1, sg.sdes.SME2)}
    x = points(made[sg.sdes.SPF])
    flow = made[sg.sdes.PrincipalFlow].drift(T, x)
    for cls in (sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct):
        assert torch.allclose(made[cls].drift(T, x), flow, rtol=1e-11, atol=1e-13)
    for cls in (sg.sdes.SPF, sg.sdes.SME1, sg.sdes.SME2):
        assert torch.allclose(made[cls].diffusion(T, x), 0.05 * growing_covariance(x), rtol=1e-12)


def test_models_of_minibatch_noise_use_its_root() -> None:
    """noise_dim is n where D is a product with the noise's root; dense HA-SME has dim."""
    noise = sg.noises.Minibatch.examples()[2]
    for cls in (sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SPF, sg.sdes.HASMEProduct):
        sde = cls(noise, 0.1)
        assert sde.noise_dim == noise.objective.n
        square_agrees(sde)
        terms_agree(sde)
    assert sg.sdes.HASME(noise, 0.1).noise_dim == noise.objective.dim


# --- domains ---------------------------------------------------------------------------------------------------------------------------------

LOG_MODELS = [sg.sdes.PrincipalFlow, sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct]
SHARP = sg.noises.Gaussian(sg.objectives.Quadratic([2.0, 0.5]), 0.3)
WELL = sg.noises.Gaussian(sg.objectives.DoubleWell(1), 0.04)  # H = 3θ² − 1: ηλ ≥ 1 beyond |θ| = 1.9149 at η = 0.1
FAR = [[1.0], [3.0]]


@pytest.mark.parametrize("model", LOG_MODELS)
def test_constant_hessian_beyond_the_logarithm_is_refused_on_construction(model: Any) -> None:
    for log in ("stop", "raise"):
        with pytest.raises(DomainError, match=r"eta·lambda = 1\.2 ≥ 1: log\(1 − eta·lambda\) is not real"):
            model(SHARP, 0.6, log=log)
    clipped = model(SHARP, 0.6, log="clip")
    assert bool(torch.isfinite(clipped.drift(T, torch.ones(1, 2, dtype=torch.float64))).all())
    A = clipped.affine()[0]
    assert float(A[0, 0]) == pytest.approx(2.0 * np.log(1 - 0.99) / 0.99)  # inside the functions only: the gradient keeps λ = 2


@pytest.mark.parametrize("model", LOG_MODELS)
def test_stop_marks_the_paths_where_the_model_does_not_exist(model: Any) -> None:
    sde, x = model(WELL, 0.1, log="stop"), torch.tensor(FAR, dtype=torch.float64)
    with tallying() as tally:
        drift = sde.drift(T, x)
    assert bool(torch.isfinite(drift[0]).all())
    assert bool(torch.isnan(drift[1]).all())
    assert tally.flagged is not None
    assert tally.flagged.tolist() == [False, True]


@pytest.mark.parametrize("model", LOG_MODELS)
def test_raise_and_clip(model: Any) -> None:
    x = torch.tensor(FAR, dtype=torch.float64)
    with pytest.raises(DomainError, match=r"not real there, so this model does not exist"):
        model(WELL, 0.1, log="raise").drift(T, x)
    with tallying() as tally:
        drift = model(WELL, 0.1, log="clip").drift(T, x)
    assert float(drift[1, 0]) == pytest.approx((27 - 3) * np.log(0.01) / 0.99)
    assert tally.counts["log clipped"] == 1
    assert tally.worst["shift of eta·lambda by clipping"] == pytest.approx(0.1 * 26 - 0.99)


@pytest.mark.parametrize("model", LOG_MODELS)
def test_frozen_paths_keep_their_last_good_point_status_and_tick(model: Any) -> None:
    """Strong noise drives paths over |θ| = 1.9149: they stay at the last tick's point; the others go on; every one is counted."""
    noise = WELL if model is sg.sdes.PrincipalFlow else sg.noises.Gaussian(sg.objectives.DoubleWell(1), 30.0)
    start = torch.cat([torch.full((50, 1), 0.5), torch.full((50, 1), 2.5)]).double() if model is sg.sdes.PrincipalFlow else [1.0]
    run = sg.simulate(sg.kernels.EulerMaruyama(model(noise, 0.1), 0.1), start, horizon=3.0, paths=100, seed=5, save=(1.0, 3.0))
    stopped = run.status == int(Status.OUT_OF_DOMAIN)
    assert 0 < int(stopped.sum()) < 100
    assert run.counts()["out_of_domain"] == int(stopped.sum()) == run.tally.counts["log out of domain"]
    assert bool(torch.isfinite(run.states).all())
    early = stopped & (run.status_tick <= 10)
    assert torch.equal(run.states[0][early], run.states[1][early])
    assert not torch.equal(run.states[0][~stopped], run.states[1][~stopped])
    if model is not sg.sdes.PrincipalFlow:  # a step begins where the model exists, its end is the point where it does not
        assert float(run.states[1][stopped].abs().min()) > 1.9149
    assert "out_of_domain" in str(run)


def test_indefinite_diffusion_is_refused_before_a_run_or_projected_and_shown() -> None:
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([[1.0, 0.6], [0.6, -0.5]]), [[1.0, 1.0], [1.0, 1.0]])
    for psd in ("stop", "raise"):
        sde = sg.sdes.HASME(noise, 0.4, psd=psd)
        assert float(torch.linalg.eigvalsh(sde.affine()[2])[0]) < 0  # Q itself is what the formula says
        with pytest.raises(DomainError, match=r"indefinite .*HASMEProduct.*psd='project'"):
            sg.simulate(sg.kernels.Heun(sde, 0.1), [1.0, 1.0], horizon=0.4, paths=3, seed=0)
    sde = sg.sdes.HASME(noise, 0.4, psd="project")
    raw = sg.sdes.HASME(noise, 0.4).affine()[2]
    values, vectors = torch.linalg.eigh(raw)
    assert torch.allclose(sde.affine()[2], (vectors * values.clamp_min(0)) @ vectors.T, atol=1e-14)
    run = sg.simulate(sg.kernels.Heun(sde, 0.1), [1.0, 1.0], horizon=0.4, paths=3, seed=0)
    assert run.tally.worst["psd defect"] == pytest.approx(float(-values[0] / values[1]))
    assert "worst psd defect" in str(run)


def test_indefinite_diffusion_along_a_path() -> None:
    """Σ of rank one and a Hessian of θ: ``stop`` freezes, ``raise`` raises, ``project`` counts."""
    well = sg.objectives.PeriodicWell(2, curvature=1.5, amplitude=0.5, coupling=-0.6)
    noise = sg.noises.Gaussian(well, [[1.0, 1.0], [1.0, 1.0]])
    x = torch.tensor([[0.3, -0.9]], dtype=torch.float64)
    dw = torch.ones(1, 2, dtype=torch.float64)
    with tallying() as tally:
        assert bool(torch.isnan(sg.sdes.HASME(noise, 0.3).diffuse(T, x, dw)).all())
    assert tally.flagged is not None
    assert tally.flagged.tolist() == [True]
    with pytest.raises(DomainError, match="indefinite"):
        sg.sdes.HASME(noise, 0.3, psd="raise").diffuse(T, x, dw)
    with tallying() as tally:
        assert bool(torch.isfinite(sg.sdes.HASME(noise, 0.3, psd="project").diffuse(T, x, dw)).all())
    assert tally.counts["psd indefinite"] == 1
    assert tally.worst["psd defect"] == pytest.approx(float(sg.sdes.HASME(noise, 0.3).defect(x)))


@pytest.mark.parametrize(("policy", "words"), [({"log": "clamp"}, "Did you mean 'clip'"), ({"psd": "projekt"}, "Did you mean 'project'")])
def test_unknown_policies_are_refused_with_a_suggestion(policy: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        sg.sdes.HASME(WELL, 0.1, **policy)


class RootOfEta(sg.sdes.SME1):
    """√η missing."""

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return super().diffuse(t, x, dw) * self.eta**0.5


class Stale(sg.sdes.SME2):
    """Terms that leave out the ½."""

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        drift, noise = super().terms(t, x, dw)
        return 2 * drift + sg.calculus.grad(self.objective, x), noise


class WrongPair(sg.sdes.HASME):
    """φ(mᵢ²) in every place: the diagonal's factor off the diagonal."""

    def pair(self, x: Tensor) -> Tensor:
        return super().pair(x).diagonal(dim1=1, dim2=2)[:, :, None].expand(-1, -1, x.shape[1])


@pytest.mark.parametrize(
    ("mutant", "test"),
    [(RootOfEta.examples()[0], square_agrees), (Stale.examples()[2], terms_agree), (WrongPair(quadratic_noise(*problem(3, 0)[:2]), 0.3), exactly_sgd)],
)
def test_mutants_fail(mutant: SDE, test: Any) -> None:
    with pytest.raises(AssertionError):
        test(mutant)
