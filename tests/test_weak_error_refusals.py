"""The oracle of weak errors says how accurate it is, and refuses what it cannot answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from weak_error_problems import MOMENTS, Fields, Wave, moved_variance

import sgdsde as sg
import sgdsde.oracles.line as line_module
from sgdsde.objectives import DoubleWell, PeriodicWell, Quadratic
from sgdsde.oracles import TwoPointLaw, sde_expectations, sgd_expectations, weak_error
from sgdsde.oracles.reach import Reach
from sgdsde.types import InputError, OracleRefusal


class TestAccuracyIsHonest:
    @pytest.mark.parametrize("factor", [0.7, 0.5, 0.35])
    def test_a_domain_that_is_too_small_is_noticed(self, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Mutant: the reach shrunk about the start. The oracle must refuse, or state an accuracy that still covers its error."""
        noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), 0.64)
        right = sgd_expectations(noise, eta=0.1, theta0=1.3, horizon=0.8, functions=MOMENTS)
        exact_sde = sde_expectations(sg.sdes.SME2(noise, 0.1), theta0=1.3, horizon=0.8, functions=MOMENTS)
        original = line_module.reach

        def shrunk(*args: object, **kwargs: object) -> Reach:
            where = original(*args, **kwargs)  # type: ignore[arg-type]
            low, high = 1.3 + factor * (where.low - 1.3), 1.3 + factor * (where.high - 1.3)
            return Reach(low, high, where.wall_low, where.wall_high)

        monkeypatch.setattr(line_module, "reach", shrunk)
        for exact, again in (
            (right, lambda: sgd_expectations(noise, eta=0.1, theta0=1.3, horizon=0.8, functions=MOMENTS)),
            (exact_sde, lambda: sde_expectations(sg.sdes.SME2(noise, 0.1), theta0=1.3, horizon=0.8, functions=MOMENTS)),
        ):
            try:
                got = again()
            except OracleRefusal:
                continue
            assert (np.abs(got.value - exact.value) <= got.accuracy + exact.accuracy).all()

    def test_tolerances_agree(self) -> None:
        """A long horizon over a barrier: loose and tight tolerances use different domains and agree within the loose accuracy."""
        noise = sg.noises.Gaussian(DoubleWell(), 0.25)
        loose, tight = (weak_error(sg.sdes.SME2, noise, eta=0.1, theta0=-1.0, horizon=40.0, functions=MOMENTS, tolerance=t) for t in (1e-6, 1e-11))
        for name in MOMENTS:
            assert abs(loose.error[name] - tight.error[name]) <= loose.accuracy[name] + tight.accuracy[name]

    def test_several_start_points_are_those_one_by_one(self) -> None:
        noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), moved_variance)
        many = weak_error(sg.sdes.HASME, noise, eta=0.1, theta0=[[-2.0], [0.3], [1.3]], horizon=0.8)
        for i, start in enumerate([-2.0, 0.3, 1.3]):
            one = weak_error(sg.sdes.HASME, noise, eta=0.1, theta0=start, horizon=0.8)
            for name in one.error:
                assert many.error[name].shape == (3,)
                assert abs(many.error[name][i] - one.error[name]) <= many.accuracy[name][i] + one.accuracy[name]

    def test_no_noise_and_start_at_rest(self) -> None:
        result = weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic(1.0), 0.0), eta=0.1, theta0=0.0, horizon=1.0)
        assert max(abs(e) for e in result.error.values()) < 1e-11


class TestDomain:
    def test_ha_sme_exists_where_its_law_goes(self) -> None:
        """Double well: ηλ = 1 at |x| = √((1 + 1/η)/3). Out of reach at η = .05; at η = .2 the law gets there."""
        noise = sg.noises.Gaussian(DoubleWell(), 0.81)
        assert weak_error(sg.sdes.HASME, noise, eta=0.05, theta0=-1.0, horizon=2.0, functions=MOMENTS).accuracy["x"] < 1e-9
        with pytest.raises(OracleRefusal, match=r"HASME does not exist near .* that the law reaches with a probability"):
            weak_error(sg.sdes.HASME, noise, eta=0.2, theta0=-1.0, horizon=2.0, functions=MOMENTS)
        with pytest.raises(OracleRefusal, match="HASME does not exist at the start point"):
            sde_expectations(sg.sdes.HASME(noise, 0.2), theta0=-1.5, horizon=2.0, functions=MOMENTS)
        with pytest.raises(OracleRefusal, match="its policy raises"):
            weak_error(lambda n, e: sg.sdes.HASME(n, e, log="raise"), noise, eta=0.2, theta0=-1.0, horizon=2.0, functions=MOMENTS)

    def test_sgd_that_blows_up(self) -> None:
        with pytest.raises(OracleRefusal, match="it has no bounded domain"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(DoubleWell(), 0.81), eta=0.5, theta0=-2.5, horizon=5.0, functions=MOMENTS)

    def test_kinks_are_refused(self) -> None:
        noise = sg.noises.Gaussian(DoubleWell(), 0.81)
        with pytest.raises(OracleRefusal, match="SGD on the line: the finest two discretisations differ"):
            weak_error(sg.sdes.SME1, noise, eta=0.1, theta0=-1.0, horizon=1.0, functions={"step": lambda x: (x[:, 0] > -0.9).double()})

    def test_indefinite_diffusion_on_the_torus(self) -> None:
        """Noise of rank one with an H that it does not commute with: HA-SME's exact Q is indefinite, the product form is not."""

        def rank_one(t: Tensor) -> Tensor:
            v = torch.stack([torch.ones_like(t[:, 0]), torch.ones_like(t[:, 0])], 1)
            return 0.3 * v[:, :, None] * v[:, None, :]

        noise = sg.noises.Gaussian(SquarePlus(), rank_one)
        with pytest.raises(OracleRefusal, match=r"indefinite diffusion matrix at .*HASMEProduct"):
            weak_error(sg.sdes.HASME, noise, eta=0.2, theta0=[1.0, 0.4], horizon=0.4)
        assert weak_error(sg.sdes.HASMEProduct, noise, eta=0.2, theta0=[1.0, 0.4], horizon=0.4, tolerance=1e-8).accuracy["sin x₁"] < 1e-7

    def test_ha_sme_past_eta_lambda_one_on_the_torus(self) -> None:
        noise = sg.noises.Gaussian(PeriodicWell(2, amplitude=-4.0), 0.1)
        with pytest.raises(OracleRefusal, match=r"HASME does not exist at \d+% of the torus"):
            sde_expectations(sg.sdes.HASME(noise, 0.4), theta0=[1.0, 0.4], horizon=0.4, functions={"sin": Wave((1, 0))})

    def test_negative_diffusion_on_the_line(self) -> None:
        bad = Fields(lambda x: -x, lambda x: (x - 1.0)[:, :, None], dim=1)
        with pytest.raises(OracleRefusal, match="negative diffusion"):
            sde_expectations(bad, theta0=1.5, horizon=1.0, functions=MOMENTS)

    def test_models_that_depend_on_time(self) -> None:
        class Clock(Fields):
            def drift(self, t: float, x: Tensor) -> Tensor:
                return -x * (1 + t)

        clock = Clock(lambda x: -x, lambda x: torch.ones_like(x)[:, :, None], dim=1)
        with pytest.raises(OracleRefusal, match="depends on time"):
            sde_expectations(clock, theta0=1.0, horizon=1.0, functions=MOMENTS)


class SquarePlus(sg.Objective):
    """Two wells of different curvature: H = diag(2cos x, .2cos y)."""

    dim = 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (-2 * torch.cos(theta[:, 0]) - 0.2 * torch.cos(theta[:, 1]))[:, None]


class TestInput:
    noise = sg.noises.Gaussian(Quadratic(1.0), 0.64)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"eta": 0.0}, "eta = 0.0; wanted a finite number > 0"),
            ({"horizon": 0.55}, r"no multiple of eta = 0.1; nearest: 0\.[56]"),
            ({"theta0": [1.0, 2.0]}, r"theta0 has shape \(1, 2\); wanted \[paths, 1\]"),
            ({"theta0": math.nan}, "theta0 holds NaN"),
            ({"functions": {}}, "functions is empty"),
            ({"functions": {"bad": lambda x: x}}, r"'bad' returned shape .* wanted"),
            ({"functions": {"log": lambda x: torch.log(x[:, 0])}}, "'log' is not finite on the domain"),
            ({"tolerance": -1.0}, "tolerance = -1.0"),
        ],
    )
    def test_bad_arguments(self, change: dict, words: str) -> None:
        good = {"eta": 0.1, "theta0": 0.3, "horizon": 0.5, "functions": MOMENTS}
        with pytest.raises(InputError, match=words):
            weak_error(sg.sdes.SME1, self.noise, **{**good, **change})

    def test_a_model_for_another_eta(self) -> None:
        with pytest.raises(InputError, match=r"made for eta = 0.2, SGD runs with eta = 0.1"):
            weak_error(sg.sdes.SME1(self.noise, 0.2), self.noise, eta=0.1, theta0=0.3, horizon=0.5)

    def test_a_model_of_another_dimension(self) -> None:
        other = sg.sdes.SME1(sg.noises.Gaussian(Quadratic([1.0, 2.0]), 1.0), 0.1)
        with pytest.raises(InputError, match="has dimension 2, the noise's objective 1"):
            weak_error(other, self.noise, eta=0.1, theta0=0.3, horizon=0.5)

    def test_noises_without_a_stated_law(self) -> None:
        class Two(sg.Objective):
            dim, n = 1, 2

            def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
                losses = (theta - torch.tensor([[-1.0, 1.0]], dtype=theta.dtype)) ** 2
                return losses if batch is None else losses.gather(1, batch)

        minibatch = sg.noises.Minibatch(Two(), 1)
        with pytest.raises(InputError, match="Minibatch draws from a law of its own"):
            weak_error(sg.sdes.SME1, minibatch, eta=0.1, theta0=0.3, horizon=0.5)
        assert weak_error(sg.sdes.SME1, minibatch, eta=0.1, theta0=0.3, horizon=0.5, law=TwoPointLaw()).accuracy["x"] < 1e-8

    def test_dimensions_and_periods(self) -> None:
        with pytest.raises(OracleRefusal, match=r"dimension 3.*sg\.compare"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic([1.0, 1.0, 1.0]), 1.0), eta=0.1, theta0=[0.0, 0.0, 0.0], horizon=0.5)
        with pytest.raises(OracleRefusal, match="not 2π-periodic in both coordinates"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic([1.0, 1.0]), 1.0), eta=0.1, theta0=[0.0, 0.0], horizon=0.5)
        with pytest.raises(OracleRefusal, match=r"Test functions \['x'\] are not 2π-periodic"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(PeriodicWell(2), 1.0), eta=0.1, theta0=[0.0, 0.0], horizon=0.5, functions={"x": lambda x: x[:, 0]})

    def test_the_result_reads_as_a_table(self) -> None:
        text = str(weak_error(sg.sdes.SME1, self.noise, eta=0.1, theta0=0.3, horizon=0.5, functions=MOMENTS))
        assert "Weak error of SME1 at T = 0.5" in text
        assert "eta=0.1" in text
        assert "x2: SGD" in text
        skewed = weak_error(sg.sdes.SME1, self.noise, eta=0.1, theta0=[[0.3], [0.4]], horizon=0.5, functions=MOMENTS, law=TwoPointLaw(0.2))
        assert "TwoPointLaw(p=0.2)" in str(skewed)
        assert str(skewed).count("x2: SGD") == 2
