"""Diagonal Hessians by the objective's own word: the fact is true, and the models on it are those through eigenvectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import sgdsde as sg
from sgdsde import symmetric
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.sdes import functions, positivity
from sgdsde.types import Status, tallying

T64 = torch.float64
EXAMPLES = [example for name in sorted(sg.objectives.__all__) if hasattr(made := getattr(sg.objectives, name), "examples") for example in made.examples()]
DIAGONAL = [f for f in EXAMPLES if f.facts.hessian_diagonal is not None]
MODELS = [sg.sdes.PrincipalFlow, sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASME3, sg.sdes.HASMEProduct, sg.sdes.HASME3Product, sg.sdes.EvenStepHASME]
FULL = [[0.5, 0.1, 0.0], [0.1, 0.3, 0.05], [0.0, 0.05, 0.2]]


def test_several_objectives_say_it() -> None:
    assert {type(f).__name__ for f in DIAGONAL} >= {"DoubleWell", "PeriodicWell", "SharpFlatWells", "StrictSaddle", "WeightDecay"}
    coupled = sg.objectives.PeriodicWell(2, coupling=0.4)
    assert coupled.facts.hessian_diagonal is None


@pytest.mark.parametrize("f", DIAGONAL, ids=lambda f: f"{type(f).__name__}-{f.dim}")
def test_the_fact_is_the_hessian_by_autodiff(f: sg.Objective) -> None:
    theta = torch.randn(20, f.dim, dtype=T64, generator=torch.Generator().manual_seed(0))
    H = sg.calculus.hessian_autodiff(f, theta)
    assert torch.allclose(torch.diag_embed(f.facts.hessian_diagonal(theta)), H, rtol=1e-10, atol=1e-10)
    assert f.facts.hessian is not None


def forgetful(f: sg.Objective) -> sg.Objective:
    """The same objective without the fact."""
    f.facts = replace(f.facts, hessian_diagonal=None)
    return f


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("covariance", [[[0.5, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.2]], FULL, growing_covariance], ids=["diagonal", "full", "of θ"])
def test_models_are_those_through_eigenvectors(model: Any, covariance: Any) -> None:
    """Drift, D dw and Q to 1e-12, in three dimensions (closed form) and without it (LAPACK is the third way, below)."""
    x = 0.5 * torch.randn(50, 3, dtype=T64, generator=torch.Generator().manual_seed(1))
    dw = torch.randn(50, 3, dtype=T64, generator=torch.Generator().manual_seed(2))
    fast = model(sg.noises.Gaussian(sg.objectives.StrictSaddle(3, negative=0.7, positive=(1.5, 0.4)), covariance), 0.05)
    slow = model(sg.noises.Gaussian(forgetful(sg.objectives.StrictSaddle(3, negative=0.7, positive=(1.5, 0.4))), covariance), 0.05)
    for a, b in ((fast.drift(0.0, x), slow.drift(0.0, x)), (fast.diffusion(0.0, x), slow.diffusion(0.0, x))):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    if fast.noise_dim:
        for a, b in zip(fast.terms(0.0, x, dw), slow.terms(0.0, x, dw), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_a_wrong_diagonal_is_noticed() -> None:
    """Mutant: a Hessian with a coupling whose diagonal is claimed to be all of it."""
    f, true = (
        sg.objectives.PeriodicWell(2, curvature=1.0, amplitude=0.4, coupling=0.3),
        sg.objectives.PeriodicWell(2, curvature=1.0, amplitude=0.4, coupling=0.3),
    )
    f.facts = replace(f.facts, hessian_diagonal=f._diagonal)
    x = torch.full((1, 2), 0.3, dtype=T64)
    wrong, right = (sg.sdes.HASME(sg.noises.Gaussian(g, 0.3), 0.2).drift(0.0, x) for g in (f, true))
    assert not torch.allclose(wrong, right, rtol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_closed_forms_are_lapacks_models(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Müller–Brown (d = 2) and a coupled torus (d = 3), where Hessians turn: every model to 1e-11 with torch.linalg.eigh in the closed forms' place."""
    for f, eta in ((sg.objectives.MullerBrown(scale=0.01), 0.01), (sg.objectives.PeriodicWell(3, curvature=1.5, amplitude=0.5, coupling=-0.3), 0.1)):
        sigma = torch.tensor(FULL, dtype=T64)[: f.dim, : f.dim]
        generator = torch.Generator().manual_seed(3)
        x = torch.tensor(f.facts.minima[0], dtype=T64) + 0.1 * torch.randn(40, f.dim, dtype=T64, generator=generator)
        dw = torch.randn(40, f.dim, dtype=T64, generator=generator)
        sde = model(sg.noises.Gaussian(f, sigma), eta)
        ours = sde.terms(0.0, x, dw) if sde.noise_dim else (sde.drift(0.0, x),)
        with monkeypatch.context() as patch:
            for module in (functions, positivity):
                patch.setattr(module, "eigenpairs", torch.linalg.eigh)
            lapack = sde.terms(0.0, x, dw) if sde.noise_dim else (sde.drift(0.0, x),)
        for a, b in zip(ours, lapack, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_a_path_out_of_the_domain_or_lost_harms_no_other() -> None:
    """Of four points one lies where ηλ > 1, one is infinite: they alone are NaN; only the first is reported as out of the domain."""
    sde = sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.DoubleWell(2), 0.04), 0.1)
    x = torch.tensor([[0.5, 0.1], [3.0, 0.0], [torch.inf, 0.0], [-0.5, 0.3]], dtype=T64)
    with tallying() as tally:
        drift, noise = sde.terms(0.0, x, torch.ones_like(x))
    bad = torch.tensor([False, True, True, False])
    for part in (drift, noise):
        assert torch.equal(torch.isnan(part).any(1), bad)
    assert tally.flagged.tolist() == [False, True, False, False]
    calm = sde.terms(0.0, x[~bad], torch.ones_like(x[~bad]))
    assert torch.equal(calm[0], drift[~bad])
    assert torch.equal(calm[1], noise[~bad])


def test_runs_stop_where_they_stopped() -> None:
    """Strong noise on a double well, with the fact and without: the same paths leave the domain, at the same ticks, and the others end at the same points."""
    ends = []
    for f in (sg.objectives.DoubleWell(2), forgetful(sg.objectives.DoubleWell(2))):
        kernel = sg.kernels.Heun(sg.sdes.HASME(sg.noises.Gaussian(f, 30.0), 0.1), 0.05)
        ends.append(sg.simulate(kernel, [1.0, 0.0], horizon=2.0, paths=200, seed=5, progress=False))
    assert 0 < int((ends[0].status == int(Status.OUT_OF_DOMAIN)).sum()) < 200
    assert torch.equal(ends[0].status_tick, ends[1].status_tick)
    assert float((ends[0].states - ends[1].states).abs().max()) < 1e-9


def test_number_of_eigenproblems(monkeypatch: pytest.MonkeyPatch) -> None:
    """None at all for a diagonal Hessian with diagonal Σ; Q's alone with a full Σ."""
    calls = []

    def counted(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(matrices.shape)
        return symmetric.eigenpairs(matrices)

    for module in (functions, positivity):
        monkeypatch.setattr(module, "eigenpairs", counted)
    x = torch.full((2, 3), 0.2, dtype=T64)
    for covariance, wanted in (([[0.5, 0, 0], [0, 0.3, 0], [0, 0, 0.2]], 0), (FULL, 1)):
        calls.clear()
        sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.DoubleWell(3), covariance), 0.1).terms(0.0, x, x)
        assert len(calls) == wanted
