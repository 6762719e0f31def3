"""Networks on one CPU core: SGD ensembles against a loop over torch.optim.SGD and against vmap(grad); what a step of each model costs in gradients.

``python benchmarks/networks.py`` prints the tables and stores ``benchmarks/networks.md``. One thread. Rows compare CPU times of one thread, taken in turn (the
median of the repetitions), so that drift of the machine cancels; only ratios mean anything. Digits of scikit-learn, tanh networks, cross-entropy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from clock import in_turn
from page import Page, Table
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

import sgdsde as sg
from sgdsde import calculus
from sgdsde.kernels import HeavyBall, OptimizerSGD, ShuffledSGD
from sgdsde.objectives import Network, WeightDecay
from sgdsde.rng import stream
from sgdsde.sde import ModifiedEquation
from sgdsde.types import tallying

ETA = 0.1
#: widths, replicas of an ensemble, replicas of the cost table
NETS = {
    18: ((5, 2, 2), 4000, 64),
    106: ((10, 8, 2), 2000, 16),
    1930: ((64, 20, 20, 10), 200, 4),
    4960: ((64, 66, 10), 100, 2),
    85002: ((64, 256, 256, 10), 4, 1),
}
BATCHES = (1, 8, 32)
#: samples, batch size and largest ηλ of the cost table
SAMPLES, BATCH, X = 200, 32, 0.5
STEPS = 6


def network(dim: int, dtype: torch.dtype, samples: int) -> Network:
    widths = NETS[dim][0]
    parts = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.Tanh())][:-1]
    data = sg.data.digits(components=None if widths[0] == 64 else widths[0])
    data = (data if widths[-1] == 10 else data.against((1, 3, 5, 7, 9))).take(samples)
    x = torch.as_tensor(data.x, dtype=dtype)
    f = Network(nn.Sequential(*parts).to(dtype), "cross_entropy", x / x.abs().max(), torch.as_tensor(data.y))
    assert f.dim == dim
    return f


def ticks(kernel: sg.Kernel, theta: Tensor, count: int) -> Callable[[], object]:
    """``count`` iterates of the whole ensemble through ``simulate``, one block."""
    return lambda: sg.simulate(kernel, theta, horizon=count * kernel.tick, seed=1, block_size=theta.shape[0], progress=False)


def vmapped(f: Network, theta: Tensor, batch: int, count: int) -> Callable[[], object]:
    """The same by vmap(grad) over stacked parameters, updated in place: what a user of torch.func would write."""
    x, y = f.inputs.at(theta), f.targets.at(theta)

    def loss(parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(f.module, parameters, (inputs,)), targets)

    slopes = vmap(grad(loss))

    def work() -> None:
        parameters, generator = {name: part.clone() for name, part in f.unflatten(theta).items()}, stream(1, "vmap")
        for _ in range(count):
            rows = torch.randint(f.n, (theta.shape[0], batch), generator=generator)
            for name, slope in slopes(parameters, x[rows], y[rows]).items():
                parameters[name].sub_(slope, alpha=ETA)

    return work


def looped(f: Network, theta: Tensor, batch: int, count: int) -> Callable[[], object]:
    """The same by a loop over ``nn.Module`` and ``torch.optim.SGD``."""
    modules = [f.module_at(row) for row in theta]
    optimizers = [torch.optim.SGD(module.parameters(), lr=ETA) for module in modules]
    x, y, generator = f.inputs.at(theta), f.targets.at(theta), stream(1, "loop")

    def work() -> None:
        for _ in range(count):
            for module, optimizer in zip(modules, optimizers, strict=True):
                rows = torch.randint(f.n, (batch,), generator=generator)
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
                optimizer.step()

    return work


def products(f: Network, theta: Tensor, batch: int) -> Callable[[], object]:
    """The matrix products of one iterate alone, on operands that lie as they suit them: the least that a batched step takes."""
    operands = []
    for layer, (inputs, outputs) in enumerate(pairwise(NETS[f.dim][0])):
        W = theta[:, : outputs * inputs].unflatten(1, (outputs, inputs))
        operands.append((W, torch.randn(theta.shape[0], batch, inputs), torch.randn(theta.shape[0], batch, outputs), layer > 0))

    def work() -> None:
        for W, h, delta, inner in operands:
            torch.bmm(h, W.transpose(1, 2))
            torch.bmm(delta.transpose(1, 2), h)
            if inner:
                torch.bmm(delta, W)

    return work


def medians(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of this thread."""
    return in_turn(work, repeats=repeats, clock=time.thread_time)


def ensembles(page: Page, table: Table, repeats: int) -> None:
    for dim in (18, 1930) if page.quick else NETS:
        replicas = NETS[dim][1] // (20 if page.quick else 1)
        f = network(dim, torch.float32, 1000)
        theta = f.initial(replicas, stream(0, "start"))
        few, count, loops = min(8, replicas), 30, 5
        for batch in BATCHES:
            kernel = sg.kernels.SGD(sg.noises.Minibatch(f, batch), ETA)
            work = {"ours": ticks(kernel, theta, count), "vmap": vmapped(f, theta, batch, count), "loop": looped(f, theta[:few], batch, loops)}
            work["products"] = products(f, theta, batch)
            found = medians(work, repeats)
            least = found["products"] / replicas
            ours, general, loop = found["ours"] / replicas / count, found["vmap"] / replicas / count, found["loop"] / few / loops
            table.row(
                "float32",
                1,
                f"{dim:,}",
                f"{replicas:,}",
                batch,
                f"{ours * 1e6:.2f}",
                f"{loop / ours:.0f}",
                f"{general / ours:.1f}",
                f"{least / ours:.2f}",
                f"{loop / least:.0f}",
            )
            if batch == 8:
                where = {"dtype": "float32", "threads": "1"}
                if dim <= 5000:  # larger ones fill a core alone
                    page.promise(f"SGD ensembles, {dim:,} parameters, batch 8", "≥ 25× a loop over models and optimisers", loop / ours, at_least=25, **where)
                page.promise(f"SGD ensembles, {dim:,} parameters, batch 8", "≥ vmap(grad)", general / ours, at_least=1, **where)


def variants(table: Table, replicas: int, repeats: int) -> None:
    f = network(18, torch.float32, 200)
    mse = Network(f.module, "mse", f.inputs.original, torch.nn.functional.one_hot(f.targets.original, 2).float())
    theta = f.initial(replicas, stream(0, "start"))
    minibatch = sg.noises.Minibatch(f, 8)
    kernels: dict[str, sg.Kernel] = {
        "i.i.d. batches": sg.kernels.SGD(minibatch, ETA),
        "without replacement": sg.kernels.SGD(sg.noises.MinibatchWithoutReplacement(f, 8), ETA),
        "epoch-shuffled": ShuffledSGD(f, 8, ETA),
        "heavy ball": OptimizerSGD(minibatch, ETA, update=HeavyBall(0.9)),
        "weight decay": sg.kernels.SGD(sg.noises.Minibatch(WeightDecay(f, 0.01), 8), ETA),
        "label noise (mse)": sg.kernels.SGD(sg.noises.LabelNoise(sg.noises.Minibatch(mse, 8), 0.1), ETA),
        "Gaussian surrogate (n = 200 normals, full passes)": sg.kernels.SGD(sg.noises.Surrogate(minibatch), ETA),
    }
    found = medians({name: ticks(kernel, theta, 25) for name, kernel in kernels.items()}, repeats)
    for name, seconds in found.items():
        table.row("float32", 1, name, f"{seconds / found['i.i.d. batches']:.1f}")


@dataclass
class Counted:
    """Hessian–vector products that an objective's ``hvp_at`` has made."""

    products: int = 0

    def attach(self, f: Network) -> None:
        known = f.method.hvp_at

        def counting(theta: Tensor) -> Callable[[Tensor], Tensor]:
            product = known(theta)

            def counted(v: Tensor) -> Tensor:
                self.products += v.shape[0] * (v.shape[1] if v.ndim == 3 else 1)
                return product(v)

            return counted

        f.facts = replace(f.facts, hvp_at=counting)


def models(f: Network, eta: float) -> dict[str, ModifiedEquation]:
    noise = sg.noises.Minibatch(f, BATCH)
    sdes = sg.sdes
    found: dict[str, ModifiedEquation] = {
        "SME-1": sdes.SME1(noise, eta),
        "SME-2": sdes.SME2(noise, eta),
        "HA-SME product, Krylov(16)": sdes.HASMEProduct(noise, eta, log="clip", functions=sdes.Krylov(16, 0.0)),
        "HA-SME product, Krylov(24, 1e-4)": sdes.HASMEProduct(noise, eta, log="clip", functions=sdes.Krylov(24, 1e-4)),
        "SPF, Krylov(24, 1e-4)": sdes.SPF(noise, eta, log="clip", functions=sdes.Krylov(24, 1e-4)),
        "HA-SME product, Spectral(10)": sdes.HASMEProduct(noise, eta, log="clip", functions=sdes.Spectral(10)),
    }
    if f.dim <= 2000:
        found["SPF, Dense"] = sdes.SPF(noise, eta, log="clip")
        found["HA-SME product, Dense"] = sdes.HASMEProduct(noise, eta, log="clip")
    if f.dim <= 64:
        found["HA-SME"] = sdes.HASME(noise, eta, log="clip", psd="project")
        found["SME-3"] = sdes.SME3(noise, eta)
        found["HA-SME-3 product, Dense"] = sdes.HASME3Product(noise, eta, log="clip")
    return found


def costs(page: Page, table: Table, dim: int, repeats: int) -> None:
    """One Euler–Maruyama step (one evaluation of the model's terms) of a few paths that move, in gradients of the same ensemble."""
    f = network(dim, torch.float64, SAMPLES)
    theta = f.initial(1, stream(0, "start"))
    theta = sg.simulate(sg.kernels.SGD(sg.noises.Minibatch(f, BATCH), 0.2), theta, horizon=0.2 * 200, seed=1, progress=False).states[-1]
    top = float(calculus_top(f, theta))
    eta, paths = X / top, NETS[dim][2]
    start = theta.repeat(paths, 1)
    counter = Counted()
    counter.attach(f)
    block = torch.randn(paths, 10, dim, generator=stream(0, "vectors"), dtype=torch.float64)
    for name, sde in models(f, eta).items():
        slow = "Dense" in name or name in ("HA-SME", "SME-3")
        steps = 1 if dim > 64 and slow else STEPS
        generator = stream(2, "steps")

        def path(sde: ModifiedEquation = sde, steps: int = steps, generator: torch.Generator = generator) -> None:
            sde.begin()
            point = start
            for _ in range(steps):
                dw = sg.rng.normals(point, sde.noise_dim, generator, eta**0.5)
                drift, noise = sde.terms(0.0, point, dw)
                point = point + eta * drift + noise

        counter.products = 0
        with tallying() as tally:
            path()
        products = counter.products / paths / steps
        work = {"step": path, "gradient": lambda: calculus.grad(f, start), "product": lambda: f.method.hvp_at(start)(block)}
        found = medians(work, 1 if slow and dim > 64 else repeats)
        step, gradient, product = found["step"] / steps, found["gradient"], found["product"] / 10
        share = f"{step / (products * product + 2 * gradient):.1f}" if products else "–"
        again = tally.counts.get("outliers recomputed", 0) / paths / steps
        cells = (f"{step / gradient:.1f}", f"{products:.0f}", f"{product / gradient:.2f}", share, f"{again:.2f}")
        table.row("float64", 1, f"{dim:,}", name, *cells)
        if name.startswith("HA-SME product") and "Dense" not in name:
            must, ratio = "a step within 3× of its Hessian–vector products", step / (products * product)
            page.promise(f"{name}, {dim:,} parameters", must, ratio, at_most=3, dtype="float64", threads="1")


def calculus_top(f: Network, theta: Tensor) -> Tensor:
    return sg.curvature.eigsh(sg.curvature.hessian_operator(f, theta[0]), 1, dense_below=64).values[0]


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line(Path(__file__).stem, "Networks on one CPU core")
    repeats, replicas = (1, 200) if given.quick else (3, 4000)
    page.text(f"Medians of {repeats} CPU times of one thread, taken in turn.")
    page.text("## SGD ensembles")
    page.text(
        "Plain SGD, minibatches with replacement of 1,000 digits, 30 iterates through `simulate` (its setup and saved states included).",
        "Loop: `nn.Module` and `torch.optim.SGD`, one model after the other, eight models. vmap: `vmap(grad(functional_call))` on stacked parameters, updated",
        "in place. Ratios above 1: ours is faster. Products: the matrix products of an iterate alone, batched, on operands that lie as they suit them; so",
        "loop / products is about the most that a step by batched products could gain. It falls with the size of the net and of the batch: what a loop loses",
        "is the time of its calls. Tiny nets take no such products (replicas lie side by side, and operations run over them), so theirs can be above 1.",
    )
    columns = ["dtype", "threads", "parameters"]
    ensembles(
        page,
        page.table([*columns, "replicas", "batch", "µs a replica-step", "loop / ours", "vmap(grad) / ours", "products / ours", "loop / products"]),
        repeats,
    )
    page.text("## Kinds of SGD")
    page.text(f"18 parameters, {replicas:,} replicas, batch 8 of 200 samples (an epoch is 25 iterates): time in units of i.i.d. batches.")
    variants(page.table(["dtype", "threads", "kind", "relative time"]), replicas, repeats)
    page.text("## Cost of a path-step in gradients")
    page.text(
        f"One Euler–Maruyama step (one evaluation of drift and diffusion) with minibatch noise, batch {BATCH} of {SAMPLES} samples, largest ηλ = {X},",
        f"after 200 iterates of SGD; a path of {STEPS} steps that moves (a cold start included for Spectral). Gradient: the full gradient.",
        "Products: Hessian–vector products a path-step (all of them counted), and their price in gradients, ten at a time. Overhead: time of the step over",
        "that of its products and two backward passes; third derivatives are in the overhead of the models of order 3, eigenvectors in that of the dense ones.",
    )
    table = page.table([*columns, "model", "gradients a step", "products", "gradients a product", "overhead", "outliers recomputed"])
    for dim in (18,) if given.quick else (18, 1930, 4960, 85002):
        costs(page, table, dim, repeats)
    page.close()


if __name__ == "__main__":
    main()
