"""The fused GPU step against its CPU twin: in Triton's interpreter where Triton is installed and no device is, on the device where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import sgdsde as sg

#: runs in a process of its own: whether Triton interprets is decided when it is imported
INTERPRETED = """
    import torch
    import sgdsde as sg
    from sgdsde.counter import counter_normals, key_of
    from sgdsde.kernels import counted_linear
    from sgdsde.kernels.counted_linear import dense_step, diagonal_step
    from sgdsde.kernels.fused import linear_steps

    key = key_of(3, "simulate")
    for paths, width, first in ((700, 3, 0), (33, 8, 7), (10, 11, 3)):
        for dtype in (torch.float64, torch.float32):
            x = torch.linspace(-1, 1, paths * width).reshape(paths, width).to(dtype)
            F, s, G = (torch.linspace(a, b, width).to(dtype) for a, b in ((0.5, 0.9), (-0.1, 0.1), (0.1, 0.3)))
            kept = x.clone()
            fused = linear_steps(x, F, s, G, key=key, first_path=first, first_step=4, steps=5)
            assert torch.equal(x, kept)
            for step in range(4, 9):
                x = diagonal_step(x, F, s, G, counter_normals(key, step, torch.arange(first, first + paths), width, dtype=dtype))
            assert torch.equal(fused, x), (paths, width, dtype)  # the interpreter does not fuse multiplications and additions
            off = linear_steps(kept, F, s, G, key=key, first_path=first, first_step=3, steps=5)  # the mutant: one step late
            assert float((off - x).abs().max()) > 1e-2

    from sgdsde.kernels.fused_dense import dense_steps

    draws = torch.Generator().manual_seed(1)
    for paths, dim, width, first in ((300, 2, 2, 0), (70, 3, 3, 5), (33, 8, 8, 7), (65, 1, 4, 2), (41, 4, 1, 3), (40, 5, 2, 3), (10, 16, 16, 11)):
        for dtype, close in ((torch.float64, 1e-14), (torch.float32, 4e-6)):
            x, F, s, G = (torch.randn(*shape, generator=draws).to(dtype) * 0.3 for shape in ((paths, dim), (dim, dim), (dim,), (dim, width)))
            kept = x.clone()
            fused = dense_steps(x, F, s, G, key=key, first_path=first, first_step=4, steps=5)
            assert torch.equal(x, kept)
            for step in range(4, 9):
                x = dense_step(x, F, s, G, counter_normals(key, step, torch.arange(first, first + paths), width, dtype=dtype))
            assert float((fused - x).abs().max()) < close * max(1.0, float(x.abs().max())), (paths, dim, width, dtype)
            turned = dense_steps(kept, F.T if dim > 1 else 0.9 * F, s, G, key=key, first_path=first, first_step=4, steps=5)  # the mutant: a transpose
            assert float((turned - x).abs().max()) > 1e-3

    # through the loop: every kernel that may leap, as if its points lived on a device
    dense = sg.noises.Gaussian(sg.objectives.Quadratic([[1.0, 0.3], [0.3, 0.5]]), torch.tensor([[0.2, -0.1], [-0.1, 0.4]], dtype=torch.float64))
    matrices = sg.kernels.CounterStreams(sg.kernels.Heun(sg.sdes.HASME(dense, 0.5), 0.125))
    options = {"horizon": 5.0, "save": [0.5, 3.0, 5.0], "paths": 150, "seed": 3, "progress": False}
    stepped = sg.simulate(matrices, [1.0, -1.0], block_size=64, **options).states
    kernel = sg.kernels.CounterStreams(sg.kernels.Heun(sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 0.3, 0.1]), 0.2), 0.5), 0.125))
    plain = sg.simulate(kernel, [1.0, -1.0, 0.5], horizon=5.0, save=[0.5, 3.0, 5.0], paths=150, seed=3, block_size=64, progress=False).states
    counted_linear._fastest = lambda x, paths, diagonal: linear_steps if diagonal else dense_steps
    fused = sg.simulate(kernel, [1.0, -1.0, 0.5], horizon=5.0, save=[0.5, 3.0, 5.0], paths=150, seed=3, block_size=50, progress=False).states
    assert torch.equal(fused, plain)
    fused = sg.simulate(matrices, [1.0, -1.0], block_size=50, **options).states
    assert not matrices.kernel._linear.diagonal
    assert float((fused - stepped).abs().max()) < 1e-13
    print("equal")
"""


#: compiled to a binary for an H100, which Triton can do without one; the calls are Triton's own and hold for the version that .ci/triton.txt names
COMPILED = """
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile
    from sgdsde.kernels.fused import _BLOCK, _linear_steps

    names = "x F s G first_word skip paths width per_path key0 key1 first_step steps block".split()
    for real in ("fp32", "fp64"):
        kinds = [f"*{real}"] * 4 + ["i64"] + ["i32"] * 4 + ["i64"] * 2 + ["i32"] * 2 + ["constexpr"]
        source = ASTSource(fn=_linear_steps, signature=dict(zip(names, kinds)), constexprs={(13,): _BLOCK})
        built = compile(source, target=GPUTarget("cuda", 90, 32))
        assert len(built.asm["cubin"]) > 1000 and "shf.l.wrap" in built.asm["ptx"]
        assert ("0d3FC2F112DF3E5244" in built.asm["ptx"]) == (real == "fp64")  # a coefficient of the logarithm with all its digits
        assert built.asm["ptx"].count("st.global") == 8, real  # every coordinate of a lane is written once, after the steps

    from sgdsde.kernels.fused_dense import _dense_steps, program_size

    names = "x F s Gc Gs first_path paths dim per_path key0 key1 first_step steps D W block share".split()
    for real, size in (("fp32", 4), ("fp64", 8)):
        for D, W in ((2, 1), (16, 8)):
            kinds = [f"*{real}"] * 5 + ["i64"] + ["i32"] * 3 + ["i64"] * 2 + ["i32"] * 2 + ["constexpr"] * 4
            constants = {(13,): D, (14,): W, (15,): program_size(D, W, size), (16,): 1}
            built = compile(ASTSource(fn=_dense_steps, signature=dict(zip(names, kinds)), constexprs=constants), target=GPUTarget("cuda", 90, 32))
            assert len(built.asm["cubin"]) > 1000 and "shf.l.wrap" in built.asm["ptx"]
    print("compiled")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed: make triton")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device: the compiled kernel is tested")
def test_the_fused_step_compiles_for_a_device_that_is_not_here(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(COMPILED)], env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "compiled\n"


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed: make triton")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device: the compiled kernel is tested")
def test_the_fused_step_is_its_cpu_twin_in_the_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(INTERPRETED)], env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "equal\n"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hessian", [[1.0, 0.3, 0.1], [[1.0, 0.3, 0.1], [0.3, 0.5, -0.2], [0.1, -0.2, 0.4]]], ids=["element-wise", "dense"])
def test_the_fused_step_is_its_cpu_twin_on_the_device(hessian: list, dtype: torch.dtype) -> None:
    noise = sg.noises.Gaussian(sg.objectives.Quadratic(hessian), 0.2)
    kernel = sg.kernels.CounterStreams(sg.kernels.Heun(sg.sdes.HASME(noise, 0.5), 0.125))
    start = torch.tensor([1.0, -1.0, 0.5], dtype=dtype)
    options = {"horizon": 5.0, "save": [0.5, 5.0], "paths": 5000, "seed": 3, "progress": False}
    here = sg.simulate(kernel, start, **options).states
    there = sg.simulate(kernel, start.cuda(), block_size=1777, **options).states
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-12 if dtype == torch.float64 else 2e-5)
