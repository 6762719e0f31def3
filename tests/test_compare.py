"""``compare`` against exact moments on quadratics, and what it says where models leave their domain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.compare import SUBSTEPS
from sgdsde.kernels.exact_ou import transition
from sgdsde.local_control import LocalControl, means
from sgdsde.observables import Accuracy, FunctionDistance, top_eigenspace
from sgdsde.stats import CheckFailed, check, check_mean
from sgdsde.types import InputError

ETA, STEPS = 0.2, 6
H = [[2.0, 0.6], [0.6, 1.0]]
SIGMA = [[1.0, 0.2], [0.2, 0.5]]
START = [1.0, -1.0]


def noise() -> sg.Noise:
    return sg.noises.Gaussian(sg.objectives.Quadratic(H), SIGMA)


def exact(model: type) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a linear model after STEPS ticks."""
    A, c, Q = model(noise(), ETA).affine()
    flow, shift, V = transition(A, c, Q, ETA * STEPS)
    return (flow @ torch.tensor(START, dtype=torch.float64) + shift).numpy(), V.numpy()


class Louder(sg.sdes.SME1):
    """A mutant: diffusion η instead of √η."""

    def diffuse(self, t, x, dw):
        return super().diffuse(t, x, dw) * self.eta**0.5

    def diffusion(self, t, x):
        return super().diffusion(t, x) * self.eta


@pytest.fixture(scope="module")
def quadratic() -> sg.Comparison:
    models = {"SME1": sg.sdes.SME1, "SPF": "SPF", "HASME": "HASME", "mutant": Louder}
    return sg.compare(noise(), eta=ETA, models=models, theta0=START, horizon=ETA * STEPS, paths=20_000, seed=1)


def test_differences_on_a_quadratic_are_the_exact_ones(quadratic: sg.Comparison) -> None:
    """Coupled differences of tr Cov against closed forms. False alarm 1e-6 each; resolves 2 % of tr Cov."""
    for label, model in {"SME1": sg.sdes.SME1, "SPF": sg.sdes.SPF, "HASME": sg.sdes.HASME}.items():
        wanted = np.trace(exact(model)[1]) - np.trace(exact(sg.sdes.HASME)[1])  # HA-SME's law is SGD's here
        passed = check(quadratic.differences(label)["tr Cov"][-1], wanted, false_alarm=1e-6, rounding=1e-12)
        assert passed.resolvable < 0.02 * np.trace(exact(sg.sdes.HASME)[1])


def test_moments_of_each_process_are_the_exact_ones(quadratic: sg.Comparison) -> None:
    """Means and covariances of SGD and the models, false alarm 1e-6 over all entries of one check."""
    for label, model in {"SGD": sg.sdes.HASME, "SME1": sg.sdes.SME1, "SPF": sg.sdes.SPF}.items():
        mean, covariance = exact(model)
        check(quadratic.means[label][-1], mean, false_alarm=1e-6)
        check(quadratic.covariances[label][-1], covariance, false_alarm=1e-6)


def test_a_wrong_diffusion_is_seen(quadratic: sg.Comparison) -> None:
    estimate = quadratic.differences("mutant")["tr Cov"][-1]
    assert estimate.high < 0
    assert quadratic.models["mutant"].distances["sliced W1"] > 3 * quadratic.floor["sliced W1"].high


def test_good_and_bad_models_stand_on_different_sides_of_the_floor(quadratic: sg.Comparison) -> None:
    assert quadratic.models["HASME"].distances["sliced W1"] < quadratic.floor["sliced W1"].high
    assert quadratic.models["SPF"].distances["sliced W1"] > quadratic.floor["sliced W1"].high


def test_coupling_beats_independence(quadratic: sg.Comparison) -> None:
    apart = sg.compare(noise(), eta=ETA, models=["SME1"], theta0=START, horizon=ETA * STEPS, paths=20_000, seed=1, coupled=False)
    gain = (apart.differences("SME1")["loss"].stderr[-1] / quadratic.differences("SME1")["loss"].stderr[-1]) ** 2
    assert gain > 10


def test_gaussian_noise_has_no_noise_law_and_skewed_minibatches_have() -> None:
    """A one-sample minibatch of a skewed mixture moves the third moment; the surrogate's law does not (|z| > 6)."""
    x = torch.ones(10, 1, dtype=torch.float64)
    y = torch.tensor([9.0] + [-1.0] * 9, dtype=torch.float64)
    minibatch = sg.noises.Minibatch(sg.objectives.LeastSquares(x, y), 1)
    observe = {"third moment": _cube}
    result = sg.compare(minibatch, eta=0.3, models=["HASME"], theta0=[0.0], horizon=1.5, paths=20_000, seed=2, observe=observe)
    law = result.noise_law["third moment"]
    assert law.value[-1] / law.stderr[-1] > 6
    error, difference = result.errors("HASME")["third moment"], result.differences("HASME")["third moment"]
    assert error.value[-1] == pytest.approx(difference.value[-1] - law.value[-1])
    assert "noise law" in result.table()


def _cube(theta: torch.Tensor) -> torch.Tensor:
    return theta[:, 0] ** 3


def test_domain_counters_and_fates_are_shown() -> None:
    well = sg.noises.Gaussian(sg.objectives.DoubleWell(), 1.0)
    result = sg.compare(well, eta=0.3, models={"HASME": "HASME", "clipped": Clipped}, theta0=[-1.2], horizon=1.5, paths=400, seed=3)
    assert result.models["HASME"].counts["out_of_domain"] > 0
    assert "out_of_domain" in result.table()
    assert result.models["clipped"].counts == {"ok": 400}
    assert "log clipped" in result.table()


class Clipped(sg.sdes.HASME):
    def __init__(self, noise, eta):
        super().__init__(noise, eta, log="clip")


def test_divergence_makes_the_estimates_unknown_and_is_counted() -> None:
    """Past ηf″ = 2 at the start the quartic throws SGD to infinity: no mean is reported over the survivors."""
    well = sg.noises.Gaussian(sg.objectives.DoubleWell(), 1.0)
    result = sg.compare(well, eta=0.3, models=["SME1"], theta0=[6.0], horizon=3.0, paths=100, seed=3, substeps=64)
    assert result.sgd_counts["diverged"] == 100
    assert np.isnan(result.reference.observables["loss"].value[-1])


def test_the_step_halving_check_refines_where_it_must() -> None:
    well = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.05)
    result = sg.compare(well, eta=0.25, models=["HASME"], theta0=[-1.2], horizon=1.0, paths=20_000, seed=4).models["HASME"]
    assert result.substeps in SUBSTEPS
    assert result.substeps > SUBSTEPS[0]
    worst = max(abs(estimate.value[-1]) / abs(result.differences[name].value[-1]) for name, estimate in result.integrator.items())
    assert worst < 0.3


def test_results_can_be_printed_plotted_and_exported(quadratic: sg.Comparison) -> None:
    assert max(len(line) for line in str(quadratic).splitlines()) <= 80
    xarray = pytest.importorskip("xarray")
    data = quadratic.to_xarray()
    assert isinstance(data, xarray.Dataset)
    assert data["difference"].sel(model="SPF", observable="tr Cov").item() == quadratic.differences("SPF")["tr Cov"].value[-1]
    assert len(quadratic.plot().axes) >= 3


def test_a_start_outside_the_domain_is_refused_before_the_run() -> None:
    well = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.05)
    with pytest.raises(sg.types.DomainError, match="exists at none of the first 1 start points"):
        sg.compare(well, eta=0.25, models=["SPF"], theta0=[-1.3], horizon=1.0, paths=100, seed=4)


@pytest.mark.parametrize(
    ("models", "words"),
    [(["HASMI"], "Did you mean 'HASME'"), ([], "models is empty"), ([lambda noise, eta: 3], "wanted an SDE")],
)
def test_models_that_are_none(models: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sg.compare(noise(), eta=ETA, models=models, theta0=START, horizon=ETA, paths=10, seed=0)


def slope_net() -> sg.noises.Minibatch:
    """Logistic regression on digits: smooth, skewed minibatches, a start on a slope."""
    data = sg.data.digits(components=3).against((1, 3, 5, 7, 9)).take(60)
    return sg.noises.Minibatch(sg.objectives.LogisticRegression(data.x, data.y, intercept=True), 4)


@pytest.fixture(scope="module")
def controlled() -> sg.Comparison:
    noise = slope_net()
    top = top_eigenspace(noise.objective, [0.0] * 4, 2)
    return sg.compare(noise, eta=0.2, models=["HASME"], theta0=[0.0] * 4, horizon=1.2, save=(0.6, 1.2), paths=2000, seed=5, substeps=4, variances={"top": top})


def test_controls_leave_the_noise_law_where_it_was_and_shrink_its_error(controlled: sg.Comparison) -> None:
    """Against the plain difference of the same ensembles (|z| < 5 of the plain error); the error shrinks at least threefold in every row."""
    assert controlled.recipe["controls"] == "local quadratic at the start"
    for name in ("loss", "squared distance"):
        a, b = controlled.reference.observables[name], controlled.surrogate.observables[name]
        plain, law = np.asarray(a.value) - b.value, controlled.noise_law[name]
        stderr = np.hypot(a.stderr, b.stderr)
        assert np.all(np.abs(plain - law.value) < 5 * stderr)
        assert np.all(np.asarray(law.stderr) < stderr / 3)
        assert np.all(np.abs(law.value) < 5 * np.asarray(law.stderr) + 0.01 * np.abs(b.value))  # skewness moves second moments at third order only


def test_a_shadow_on_other_random_numbers_controls_nothing() -> None:
    """The mutant: a shadow from another seed has no correlation with the run, so the error must not shrink."""
    noise = slope_net()
    control = LocalControl(noise, 0.2, torch.zeros(4, dtype=torch.float64))
    run = sg.simulate(sg.kernels.SGD(noise, 0.2), [0.0] * 4, horizon=1.2, paths=1000, seed=1, block_size=512, progress=False)
    values = noise.objective.loss(run.states[0]).numpy()[:, None]
    errors = []
    for seed in (1, 2):
        shadow = sg.simulate(control.sgd(), [0.0] * 4, horizon=1.2, paths=1000, seed=seed, block_size=512, progress=False)
        errors.append(float(means(values, control.features(shadow.states, [6])).stderr[0]))
    assert errors[0] < 0.2 * errors[1]
    assert errors[1] > 0.9 * values.std() / 1000**0.5


def test_expectations_of_the_controls_are_those_of_many_shadows() -> None:
    """Means of 40,000 shadows against the closed forms, false alarm 1e-6; a step too many is 20 standard errors off."""
    noise = slope_net()
    control = LocalControl(noise, 0.2, torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64))
    shadow = sg.simulate(control.sgd(), control.anchor, horizon=1.0, paths=40_000, seed=3, progress=False)
    controls, expected = control.features(shadow.states, [5])
    check_mean(controls[0], expected[0], false_alarm=1e-6)
    with pytest.raises(CheckFailed):
        check_mean(controls[0], control.features(shadow.states, [6])[1][0], false_alarm=1e-6)


def test_variances_of_functions_stand_beside_tr_cov(controlled: sg.Comparison) -> None:
    """The variance in the span of two eigenvectors is below tr Cov, and is the trace of UᵀCU."""
    found = controlled.surrogate.observables["top"].value
    noise = slope_net()
    basis = top_eigenspace(noise.objective, [0.0] * 4, 2).basis.numpy()
    assert np.all(found < controlled.surrogate.trace.value)
    assert basis.shape == (4, 2)
    assert "top" in controlled.differences("HASME")
    assert "top" in controlled.table()


def test_a_variance_may_not_take_an_observables_name() -> None:
    with pytest.raises(InputError, match="variances holds 'loss'"):
        sg.compare(noise(), eta=ETA, models=["SME1"], theta0=START, horizon=ETA, paths=100, seed=0, variances={"loss": _cube})


def test_observables_of_networks() -> None:
    data = sg.data.digits(components=2).against((1, 3, 5, 7, 9)).take(40)
    net = sg.objectives.ShallowTanh(data.x, data.y, hidden=2)
    origin = (0.1, -0.2, 0.3, 0.4, 0.0, 0.1, 1.0, -1.0)
    theta = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, before = net.logits(theta, data.x), net.logits(torch.tensor([origin]).double(), data.x)
    distance = FunctionDistance(net.logits, data.x, origin)
    torch.testing.assert_close(distance(theta), ((z - before) ** 2).mean(1))
    assert float(distance(torch.tensor([origin]).double())[0]) < 1e-12
    accuracy = Accuracy(net.logits, data.x, data.y)
    torch.testing.assert_close(accuracy(theta), ((z > 0) == (data.y > 0)).double().mean(1))
    assert bool(torch.isnan(accuracy(theta * torch.nan)).all())
    with pytest.raises(InputError, match="count"):
        top_eigenspace(net, origin, 9)
