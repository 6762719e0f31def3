"""Where a model does not exist: policies that stop, raise, clip and project, with their words, counters and the fate of paths."""

from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.types import DomainError, InputError, Status, tallying

T = 0.3
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
