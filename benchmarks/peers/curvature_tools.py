"""One tool for curvature in an environment and a process of its own, for ``benchmarks/curvature.py``; needs torch, NumPy and the tool, nothing else.

``python curvature_tools.py TOOL FILE SETTING PATIENCE`` reads θ and the data from FILE and prints one round as JSON: the unit (a plain double backward),
eigenpairs from SETTING on until the target is met or one took PATIENCE seconds, the density. The tool's settings go from cheap to dear. All times are CPU
times of one thread.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PAIRS, TARGET, VECTORS, STEPS, AGAIN = 10, 1e-4, 4, 60, 3


def mlp() -> nn.Module:
    """64-240-240-48-10, 85,498 parameters."""
    sizes = (64, 240, 240, 48, 10)
    parts: list[nn.Module] = []
    for i, o in itertools.pairwise(sizes):
        parts += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*parts[:-1]).double()


def load(file: str) -> tuple[nn.Module, Tensor, Tensor]:
    """The network at θ, and the data."""
    stored = np.load(file)
    model = mlp()
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(torch.from_numpy(stored["theta"]), model.parameters())
    return model.eval(), torch.from_numpy(stored["x"]), torch.from_numpy(stored["y"])


def double_backward(model: nn.Module, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Hv, everything anew."""
    parameters = list(model.parameters())
    slope = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), parameters, create_graph=True)
    flat = torch.cat([part.flatten() for part in slope])
    return torch.cat([part.flatten() for part in torch.autograd.grad(flat, parameters, v)])


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


# one tool in its own process: (settings from cheap to dear -> vectors [10, dim], values), density -> nodes of each vector


def ours(model: nn.Module, x: Tensor, y: Tensor) -> tuple[list[Callable[[], tuple[Tensor, Tensor]]], Callable[[], list[np.ndarray]]]:
    import sgdsde as sg
    from sgdsde import curvature

    network = sg.objectives.Network(model, "cross_entropy", x, y)

    def pairs() -> tuple[Tensor, Tensor]:
        found = curvature.eigsh(curvature.hessian_operator(network, network.flatten()), PAIRS, tolerance=TARGET, progress=False)
        return found.values, found.vectors.T

    def density() -> list[np.ndarray]:
        return list(curvature.spectral_density(curvature.hessian_operator(network, network.flatten()), steps=STEPS, vectors=VECTORS, progress=False).nodes)

    return [pairs], density


def pyhessian(model: nn.Module, x: Tensor, y: Tensor) -> tuple[list[Callable[[], tuple[Tensor, Tensor]]], Callable[[], list[np.ndarray]]]:
    from pyhessian import hessian

    def build() -> Any:
        for part in model.parameters():
            part.grad = None
        return hessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False)

    def pairs(tolerance: float) -> Callable[[], tuple[Tensor, Tensor]]:
        def work() -> tuple[Tensor, Tensor]:
            values, vectors = build().eigenvalues(maxIter=1000, tol=tolerance, top_n=PAIRS)
            return torch.tensor(values, dtype=torch.float64), torch.stack([torch.cat([part.flatten() for part in v]) for v in vectors])

        return work

    return [pairs(t) for t in (1e-3, 1e-5, 1e-7, 1e-9)], lambda: [np.array(row) for row in build().density(iter=STEPS, n_v=VECTORS)[0]]


def eigenthings(model: nn.Module, x: Tensor, y: Tensor) -> tuple[list[Callable[[], tuple[Tensor, Tensor]]], Callable[[], list[np.ndarray]]]:
    import hessian_eigenthings as he

    def build() -> Any:
        return he.HessianOperator(model, [(x, y)], he.supervised_loss(nn.CrossEntropyLoss()))

    def pairs(steps: int) -> Callable[[], tuple[Tensor, Tensor]]:
        def work() -> tuple[Tensor, Tensor]:
            found = he.lanczos(build(), k=PAIRS, max_iter=steps, which="LA", seed=0, reorthogonalize=True)
            return found.eigenvalues, found.eigenvectors

        return work

    def density() -> list[np.ndarray]:
        return list(he.spectral_density(build(), num_runs=VECTORS, lanczos_steps=STEPS, seed=0).raw_eigenvalues.numpy())

    return [pairs(steps) for steps in (20, 25, 30, 35, 40, 50, 60, 80, 120)], density


def curvlinops(model: nn.Module, x: Tensor, y: Tensor) -> tuple[list[Callable[[], tuple[Tensor, Tensor]]], Callable[[], list[np.ndarray]]]:
    from curvlinops import HessianLinearOperator
    from curvlinops.papyan2020traces.spectrum import fast_lanczos
    from scipy.sparse.linalg import eigsh

    def build() -> Any:
        return HessianLinearOperator(model, nn.CrossEntropyLoss(), list(model.parameters()), [(x, y)])

    def pairs(tolerance: float) -> Callable[[], tuple[Tensor, Tensor]]:
        def work() -> tuple[Tensor, Tensor]:
            values, vectors = eigsh(build().to_scipy(), k=PAIRS, which="LA", tol=tolerance, v0=np.random.default_rng(0).standard_normal(85_498))
            return torch.from_numpy(values.copy()), torch.from_numpy(vectors.T.copy())

        return work

    def density() -> list[np.ndarray]:
        operator = build()
        return [fast_lanczos(operator, STEPS)[0].numpy() for _ in range(VECTORS)]

    return [pairs(t) for t in (1e-1, 1e-2, 1e-3, 1e-4)], density


TOOLS = {"sgdsde": ours, "PyHessian": pyhessian, "hessian-eigenthings": eigenthings, "curvlinops": curvlinops}


def child(tool: str, file: str, setting: int, patience: float) -> None:
    """One round: the unit (a plain double backward), eigenpairs from ``setting`` on, density. Prints JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, x, y = load(file)
    v = torch.randn(sum(part.numel() for part in model.parameters()), dtype=torch.float64)
    double_backward(model, x, y, v)
    unit = min(seconds(lambda: double_backward(model, x, y, v))[0] for _ in range(5))
    settings, density = TOOLS[tool](model, x, y)
    report: dict[str, Any] = {"unit": unit, "pairs": None, "residual": None, "setting": None}
    for number in range(setting, len(settings)):
        spent, (values, vectors) = seconds(settings[number])
        residual = max(float((double_backward(model, x, y, w) - value * w).norm()) for value, w in zip(values, vectors, strict=True))
        report |= {"pairs": spent, "residual": residual / float(values.max()), "setting": number, "largest": float(values.max())}
        if report["residual"] <= TARGET or spent > patience:
            break
    for _ in range(AGAIN if report["pairs"] < patience / 6 else 0):  # the first call pays for what is loaded on first use
        report["pairs"] = min(report["pairs"], seconds(settings[report["setting"]])[0])
    try:
        report["density"], nodes = seconds(density)
        report["above"] = [int((row > report["largest"] / 2).sum()) for row in nodes]
    except Exception as error:  # the peer's own failure is a row of the table
        report["density"], report["failure"] = None, f"{type(error).__name__}: {str(error).split('. ')[0][:80]}"
    print(json.dumps(report))


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
