"""When compiled loops run and when not: without numba, under derivatives, maps and recordings the torch versions do, to the same numbers within rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from test_series import Bowl, points
from torch import Tensor

import sgdsde as sg
from sgdsde import compiled, symmetric
from sgdsde.kernels.unseen import Unseen
from sgdsde.runs import identity
from sgdsde.sdes import chebyshev
from sgdsde.symmetric import constant_eigenpairs, eigenpairs, numbers_only
from sgdsde.types import tallying

T64 = torch.float64
needs_numba = pytest.mark.skipif(not compiled.available(), reason="numba is not installed: pip install 'sgdsde[compiled]'")
MODELS = [sg.sdes.PrincipalFlow, sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct, sg.sdes.HASME3, sg.sdes.EvenStepHASME]


def symmetric_ones(count: int, dim: int) -> Tensor:
    A = torch.randn(count, dim, dim, dtype=T64, generator=torch.Generator().manual_seed(dim))
    return A + A.transpose(1, 2)


def refuse(*_: Any) -> Any:
    raise AssertionError("compiled")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled loops must not run."""
    monkeypatch.setattr(symmetric, "_side_by_side", refuse)
    monkeypatch.setattr(chebyshev, "_side_by_side", refuse)


@pytest.mark.usefixtures("uncompiled")
def test_without_numba_lapack_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAPACK's own bits, and every model runs."""
    monkeypatch.setattr(compiled, "available", lambda: False)
    A = symmetric_ones(9, 6)
    for found, wanted in zip(eigenpairs(A), torch.linalg.eigh(A), strict=True):
        assert torch.equal(found, wanted)
    f = Bowl(12.0)
    for model in MODELS:
        assert bool(torch.isfinite(model(sg.noises.Gaussian(f, 0.3), 0.1).drift(0.0, points(f)[:6])).all())


@needs_numba
@pytest.mark.parametrize("model", MODELS)
def test_models_with_numba_and_without_agree(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drift and D dw with a full Σ at points of every class of norms, one out of the domain, to 1e-12; the same path is lost and counted, no other."""
    f = Bowl(12.0)
    x, sigma = points(f), 0.02 * (torch.eye(5, dtype=T64) + 0.2)
    dw, found = torch.ones_like(x), []
    for there in (True, False):
        monkeypatch.setattr(compiled, "available", lambda there=there: there)
        sde = model(sg.noises.Gaussian(f, sigma), 0.1)
        with tallying() as tally:
            parts = (sde.drift(0.0, x), *(sde.terms(0.0, x, dw) if sde.noise_dim else ()))
        found.append((parts, tally.flagged, dict(tally.counts)))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert found[0][2] == found[1][2]
    assert (found[0][1] is None) == (found[1][1] is None)
    if found[0][1] is not None:
        assert found[0][1].tolist() == found[1][1].tolist()


@needs_numba
def test_they_do_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests that they do not run can fail."""
    monkeypatch.setattr(symmetric, "_side_by_side", refuse)
    with pytest.raises(AssertionError, match="compiled"):
        eigenpairs(symmetric_ones(2, 5))
    monkeypatch.setattr(chebyshev, "_side_by_side", refuse)
    f = Bowl(2.0)
    with pytest.raises(AssertionError, match="compiled"):
        sg.sdes.PrincipalFlow(sg.noises.Gaussian(f, 0.3), 0.1).drift(0.0, points(f))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own, in its forward mode
@pytest.mark.usefixtures("uncompiled")
def test_derivatives_go_through_torch() -> None:
    """∂ΣΛ²/∂A = 2A by reverse mode, by forward mode and by functorch's transform of each."""
    A = symmetric_ones(3, 5)
    V = symmetric_ones(4, 5)[1:]

    def squares(matrices: Tensor) -> Tensor:
        return eigenpairs(matrices)[0].square().sum()

    slope = 2 * (A * V).sum()
    point = A.clone().requires_grad_()
    squares(point).backward()  # type: ignore[no-untyped-call]
    assert point.grad is not None
    torch.testing.assert_close((point.grad * V).sum(), slope)
    with torch.autograd.forward_ad.dual_level():
        pushed = torch.autograd.forward_ad.unpack_dual(squares(torch.autograd.forward_ad.make_dual(A, V))).tangent
    torch.testing.assert_close(pushed, slope)
    torch.testing.assert_close((torch.func.grad(squares)(A) * V).sum(), slope)
    torch.testing.assert_close(torch.func.jvp(squares, (A,), (V,))[1], slope)


@pytest.mark.usefixtures("uncompiled")
def test_what_is_recorded_or_mapped_goes_through_torch() -> None:
    """Where models may not look (a recording), under vmap there, and on points without numbers."""
    A = symmetric_ones(6, 5)
    with tallying(Unseen()):
        assert torch.equal(eigenpairs(A)[0], torch.linalg.eigh(A)[0])
        mapped = torch.func.vmap(lambda two: eigenpairs(two)[0])(A.view(3, 2, 5, 5))
        torch.testing.assert_close(mapped.view(6, 5), torch.linalg.eigh(A)[0])
        assert eigenpairs(A.to("meta"))[0].shape == (6, 5)


@pytest.mark.usefixtures("uncompiled")
def test_constants_go_to_lapack() -> None:
    """A constant Hessian and Σ: the numbers are the same with numba and without, and it is not imported."""
    A = symmetric_ones(1, 6)
    assert torch.equal(constant_eigenpairs(A)[1], torch.linalg.eigh(A)[1])
    H = A[0] @ A[0] / 40 + torch.eye(6, dtype=T64)
    noise = sg.noises.Gaussian(sg.objectives.Quadratic(H), H @ H + 0.1)
    for model in (sg.sdes.HASME, sg.sdes.HASMEProduct, sg.sdes.SPF):
        kernel = sg.kernels.EulerMaruyama(model(noise, 0.02), 0.01)
        assert bool(torch.isfinite(sg.simulate(kernel, [0.1] * 6, horizon=0.1, paths=10, seed=0, progress=False).states).all())


def test_numba_stays_out_until_it_is_needed() -> None:
    """Importing the package and stepping a model on a quadratic brings no numba."""
    code = (
        "import sys, torch, sgdsde as sg; noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0] * 6), torch.eye(6) + 0.1); "
        "sg.sdes.HASME(noise, 0.1).drift(0.0, torch.zeros(3, 6)); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_numba
def test_where_no_folder_can_be_written_each_process_compiles() -> None:
    """A function whose source numba cannot find has no place for its machine code; it runs all the same."""
    from sgdsde.compiled.jit import compiled_loop

    space: dict[str, Any] = {}
    exec(compile("def double(x):\n    return 2 * x", "<nowhere>", "exec"), space)
    assert compiled_loop(space["double"])(4) == 8


@needs_numba
def test_kept_machine_code_is_that_of_these_sources(tmp_path: Path) -> None:
    """A second process loads what the first compiled; after a change in a neighbouring file (here of the stamp) it compiles anew."""
    code = (
        "import sys; from sgdsde.compiled import jit; {change}import numpy as np; from sgdsde.compiled.words import U, fill_words; "
        "fill_words(np.zeros(1, U), U(0), U(0), U(0), np.zeros(4, U)); print(len(fill_words.stats.cache_hits), len(fill_words.stats.cache_misses))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = []
    for change in ("", "", "jit.stamp = lambda: 'other'; ", "jit.stamp = lambda: 'other'; "):
        done = subprocess.run([sys.executable, "-c", code.format(change=change)], env=environment, capture_output=True, text=True, check=True)
        found.append(tuple(int(word) for word in done.stdout.split()))
    assert found == [(0, 1), (1, 0), (0, 1), (1, 0)]


def test_runs_with_numba_and_without_are_different_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Last digits differ, so their blocks must not be mixed: numba's version, or its absence, is part of a run's identity."""
    found, installed = set(), identity.metadata.version
    for version in ("0.60", "0.61", None):

        def known(name: str, version: str | None = version) -> str:
            if name != "numba":
                return installed(name)
            if version is None:
                raise identity.metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(identity.metadata, "version", known)
        identity.code_digest.cache_clear()
        found.add(identity.code_digest())
    monkeypatch.undo()
    identity.code_digest.cache_clear()
    assert len(found) == 3


@needs_numba
def test_what_may_be_compiled() -> None:
    assert numbers_only(torch.zeros(1))
    for other in (torch.zeros(1, dtype=torch.float16), torch.zeros(1, requires_grad=True), torch.zeros(1, device="meta"), torch.nn.Parameter(torch.zeros(1))):
        assert not numbers_only(other)
