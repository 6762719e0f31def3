"""The measurements of ``benchmarks/device.py``; each runs on a CUDA device at full size and on the CPU at a tiny one.

A table's floor is measured beside it: normals into memory for the fused step, batched products of the same shapes for networks, a plain double backward
for spectra.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise

import torch
from clock import in_turn, median
from floor_rates import Floors
from models import ETA, SUBSTEPS, dense, element_wise, turned_well, well
from networks import BATCHES, NETS, network, ticks
from page import Page, short
from peers.curvature_tools import PAIRS, STEPS, VECTORS, double_backward
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import curvature
from sgdsde.counter import counter_normals, key_of
from sgdsde.rng import stream

#: ticks of one recording, and of one timed piece of work
TICKS, LEAP = 8, 32


@dataclass(frozen=True)
class Sizes:
    """How large the tables are."""

    device: str
    #: (paths, d) of models with diagonal matrices, and with full ones
    ensembles: tuple[tuple[int, int], ...]
    small: tuple[tuple[int, int], ...]
    steps: int
    paths: int
    replicas: dict[int, int]
    widths: tuple[tuple[int, ...], ...]
    samples: int


FULL = Sizes(
    "cuda",
    ensembles=((10_000_000, 8), (10_000_000, 10), (10_000_000, 1), (1_000_000, 100), (100_000, 10)),
    small=((10_000_000, 2), (1_000_000, 8), (1_000_000, 16)),
    steps=400,
    paths=1_000_000,
    replicas={18: 100_000, 1930: 10_000, 4960: 5_000, 85002: 500},
    widths=((64, 240, 240, 48, 10), (64, 960, 960, 10)),
    samples=1000,
)
TINY = Sizes("cpu", ensembles=((200, 8), (100, 3)), small=((100, 3),), steps=8, paths=200, replicas={18: 20, 1930: 4}, widths=((64, 8, 10),), samples=50)


def fused(page: Page, sizes: Sizes) -> None:
    """Coordinate-steps a second of the fused linear steps: the launch alone, through ``simulate``, and unfused; and their distance from the CPU twin."""
    page.text("## Linear models: the fused steps")
    page.text(
        f"{sizes.steps} Euler–Maruyama steps of SME-1 on a quadratic, diagonal or with full matrices. Launch: the fused kernel alone; simulate:",
        "`CounterStreams`, all paths in one block, and in blocks of the default size; unfused: block streams, one block. Normals: the rate of filling memory",
        "with normals (torch). Twin: the largest distance from the same numbers on the CPU after 8 steps of 1,000 paths. In Triton's interpreter (a dry run)",
        "rates mean nothing.",
    )
    table = page.table(
        ["device", "dtype", "threads", "paths", "matrices", "launch", "simulate", "default blocks", "unfused", "normals/s", "launch / normals", "twin"]
    )
    there = find_spec("triton") is not None and (sizes.device != "cpu" or os.environ.get("TRITON_INTERPRET") == "1")
    if not there:
        page.text("No Triton here (on the CPU: TRITON_INTERPRET=1): the launch was not measured.")
    best = 0.0
    for dtype in (torch.float32, torch.float64):
        floors = Floors(dtype, sizes.device)
        sde = [(element_wise(dim), paths, f"diagonal, d = {dim}") for paths, dim in sizes.ensembles]
        sde += [(dense(dim), paths, f"full, d = {dim}") for paths, dim in sizes.small]
        for model, paths, name in sde:
            kernel, dim = sg.kernels.EulerMaruyama(model, model.eta / SUBSTEPS), model.dim
            counter, total = sg.kernels.CounterStreams(kernel), float(paths) * dim * sizes.steps
            launch = total / median(_launch(kernel, paths, dtype, sizes), device=sizes.device) if there else None
            through = [
                total / median(_simulate(*choice, paths, dtype, sizes), device=sizes.device) for choice in ((counter, paths), (counter, None), (kernel, paths))
            ]
            cells = [f"{rate:.2g}" for rate in (*through, floors.normals())]
            first, ratio, twin = (f"{launch:.2g}", f"{launch / floors.normals():.1f}", f"{_twin(kernel, dtype, sizes):.1g}") if launch else ("absent", "", "")
            table.row(sizes.device, short(dtype), 1, f"{paths:,}", name, first, *cells, ratio, twin)
            if dtype == torch.float32 and name.startswith("diagonal"):
                best = max(best, launch or 0.0)
    found = best if sizes.device == "cuda" and best else None
    page.promise("element-wise models on one data-centre GPU", "≥ 1e11 coordinate-steps/s (H100)", found, at_least=1e11, dtype="float32", threads="1")


def _launch(kernel: sg.Kernel, paths: int, dtype: torch.dtype, sizes: Sizes) -> Callable[[], object]:
    x = torch.full((paths, kernel.dim), 0.3, dtype=dtype, device=sizes.device)
    return partial(_fused_steps(kernel, dtype, sizes.device), x, key=key_of(1, "simulate"), first_path=0, first_step=0, steps=sizes.steps)


def _fused_steps(kernel: sg.Kernel, dtype: torch.dtype, device: str) -> Callable[..., Tensor]:
    """The fused step of the kernel's linear map, which wants points and the place in the stream."""
    from sgdsde.kernels.fused import linear_steps
    from sgdsde.kernels.fused_dense import dense_steps

    F, s, G = _affine(kernel, dtype, device)
    return partial(linear_steps, F=F.diagonal(), s=s, G=G.diagonal()) if kernel._linear.diagonal else partial(dense_steps, F=F, s=s, G=G)


def _affine(kernel: sg.Kernel, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor, Tensor]:
    kernel.prepare()
    step = kernel._linear
    return tuple(part.to(device=device, dtype=dtype) for part in (step.F, step.s, step.G * kernel.dt**0.5))


def _twin(kernel: sg.Kernel, dtype: torch.dtype, sizes: Sizes) -> float:
    F, s, G = _affine(kernel, dtype, "cpu")
    key, paths = key_of(1, "simulate"), torch.arange(1000)
    x = torch.full((1000, kernel.dim), 0.3, dtype=dtype)
    there = _fused_steps(kernel, dtype, sizes.device)(x.to(sizes.device), key=key, first_path=0, first_step=0, steps=8)
    for step in range(8):
        x = x @ F.T + s + counter_normals(key, step, paths, G.shape[1], dtype=dtype) @ G.T
    return float((there.cpu() - x).abs().max())


def _simulate(kernel: sg.Kernel, block: int | None, paths: int, dtype: torch.dtype, sizes: Sizes) -> Callable[[], object]:
    start = torch.full((kernel.dim,), 0.3, dtype=dtype, device=sizes.device)
    return partial(sg.simulate, kernel, start, horizon=sizes.steps // SUBSTEPS * kernel.tick, paths=paths, seed=1, block_size=block, progress=False)


def general(page: Page, sizes: Sizes) -> None:
    """Steps through a model's own drift and diffusion: launched one operation at a time, and recorded."""
    page.text("## General models: one operation at a time, and recorded")
    page.text(
        f"Heun, {SUBSTEPS} steps a tick of η, one block of paths, {LEAP} ticks. Recorded: `Captured`, {TICKS} ticks a CUDA graph; random numbers are drawn",
        "outside it, and their time counts. Where a model reads its own numbers or calls a library for eigenvectors it cannot be recorded, and the row",
        "says so. A dry run steps the same buffers without a graph.",
    )
    table = page.table(["device", "dtype", "threads", "model", "paths", "eager, coordinate-steps/s", "recorded, coordinate-steps/s", "recorded / eager"])
    for name, make, dims in (("double well", well, (1,)), ("turned double well", turned_well, (2, 10))):
        for dim in dims:
            for model in ("SME1", "SME2", "HASME", "HASMEProduct"):
                most = sizes.paths // (10 if dim > 3 else 1)  # eigenvectors in batches of 10⁶ take seconds
                for paths in (most, max(1, most // 100)):
                    eager, recorded, why = recorded_rates(make(model, dim), torch.full((paths, dim), 0.3, dtype=torch.float32, device=sizes.device))
                    cells = (f"{eager:.2g}", f"{recorded:.2g}" if recorded else why, f"{recorded / eager:.1f}" if recorded else "")
                    table.row(sizes.device, "float32", 1, f"{name}, d = {dim}, {model}", f"{paths:,}", *cells)


def recorded_rates(kernel: sg.Kernel, theta: Tensor) -> tuple[float, float | None, str]:
    """Coordinate-steps a second of the kernel and of its recording, in turn; or why there is none."""
    device = theta.device.type
    work, why = {"eager": _leap(kernel, theta)}, ""
    captured = sg.kernels.Captured(kernel, ticks=TICKS)
    try:
        captured.check(theta)
        work["recorded"] = _leap(captured, theta)
    except sg.types.InputError as error:
        why = "refused: " + str(error).split("its step ")[-1].split(" (")[0]
    found = in_turn(work, repeats=3, device=device)
    done = theta.numel() * SUBSTEPS * LEAP
    return done / found["eager"], done / found["recorded"] if "recorded" in found else None, why


def _leap(kernel: sg.Kernel, theta: Tensor) -> Callable[[], object]:
    generator = stream(1, "device", device=theta.device)
    return partial(kernel.leap, kernel.init(theta, generator), 0, LEAP, generator)


def ensembles(page: Page, sizes: Sizes) -> None:
    """SGD on many copies of an MLP, against the batched products that its forward and backward passes are made of."""
    page.text("## SGD ensembles of MLPs")
    page.text(
        "Plain SGD, minibatches with replacement of 1,000 digits, tanh, cross-entropy; all replicas in one block. Flops: 6 a weight, sample and step, less the",
        "gradient of the inputs. Share: the time of `torch.bmm` on the same shapes (forward, and two backward) over the time of a step.",
    )
    table = page.table(["device", "dtype", "threads", "parameters", "replicas", "batch", "µs a replica-step", "flops/s", "batched products / time"])
    for dim, replicas in sizes.replicas.items():
        f = network(dim, torch.float32, sizes.samples)
        theta = f.initial(replicas, stream(0, "start")).to(sizes.device)
        for batch in BATCHES:
            count = 20
            spent = median(ticks(sg.kernels.SGD(sg.noises.Minibatch(f, batch), ETA), theta, count), device=sizes.device) / count
            least, flops = products(NETS[dim][0], replicas, batch, sizes.device)
            table.row(
                sizes.device, "float32", 1, f"{dim:,}", f"{replicas:,}", batch, f"{1e6 * spent / replicas:.3g}", f"{flops / spent:.2g}", f"{least / spent:.2f}"
            )


def products(widths: tuple[int, ...], replicas: int, batch: int, device: str) -> tuple[float, float]:
    """Seconds and flops of the batched products of one step of all replicas."""
    spent, flops = 0.0, 0.0
    for layer, (i, o) in enumerate(pairwise(widths)):
        x, W, y = (torch.ones(replicas, *shape, device=device) for shape in ((batch, i), (i, o), (batch, o)))
        work = [partial(torch.bmm, x, W), partial(torch.bmm, x.mT, y)] + ([partial(torch.bmm, y, W.mT)] if layer else [])
        spent += sum(median(product, device=device) for product in work)
        flops += 2.0 * replicas * batch * i * o * len(work)
    return spent, flops


def spectra(page: Page, sizes: Sizes) -> None:
    """Ten largest eigenpairs and a spectral density of MLPs on digits, in products and seconds."""
    page.text("## Spectra of larger networks")
    page.text(
        f"ReLU, cross-entropy, {sizes.samples:,} digits, at the initial point. {PAIRS} largest eigenpairs at the default tolerance, density of",
        f"{VECTORS} × {STEPS} steps. H·v over a plain double backward in the same run; residual: the largest ‖Hv − λv‖/λ₁.",
    )
    columns = ["parameters", "double backward, ms", "H·v / double backward", "eigenpairs, s", "products", "residual", "density, s"]
    table = page.table(["device", "dtype", "threads", *columns])
    digits = sg.data.digits(count=sizes.samples)
    for widths in sizes.widths:
        for dtype in (torch.float32, torch.float64):
            torch.manual_seed(1)
            parts = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())][:-1]
            module = nn.Sequential(*parts).to(dtype=dtype, device=sizes.device)
            x, y = digits.x.to(dtype=dtype, device=sizes.device), digits.y.to(sizes.device)
            f = sg.objectives.Network(module, "cross_entropy", x, y)
            theta = f.flatten().to(sizes.device)
            H = curvature.hessian_operator(f, theta)
            v = torch.randn(f.dim, dtype=dtype, device=sizes.device)
            plain, ours = (median(work, device=sizes.device) for work in (partial(double_backward, module, x, y, v), lambda H=H, v=v: H @ v))
            found: list[curvature.Eigenpairs] = []
            pairs = median(lambda H=H, found=found: found.append(curvature.eigsh(H, PAIRS, progress=False)), repeats=1, shortest=0, device=sizes.device)
            density = median(
                lambda H=H: curvature.spectral_density(H, steps=STEPS, vectors=VECTORS, progress=False), repeats=1, shortest=0, device=sizes.device
            )
            residual = float(found[-1].residuals.max() / found[-1].values.max())
            cells = (f"{1e3 * plain:.3g}", f"{ours / plain:.2f}", f"{pairs:.3g}", found[-1].products, f"{residual:.1e}", f"{density:.3g}")
            table.row(sizes.device, short(dtype), 1, f"{f.dim:,}", *cells)
