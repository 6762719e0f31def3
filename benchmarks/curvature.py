"""Curvature against double backward, jvp of grad, PyHessian, hessian-eigenthings and curvlinops: ratios of CPU time on one thread.

Products: all three in one process, in turn. Ten largest eigenpairs and the spectral density at 85,498 parameters: every tool in an environment and a process of
its own (they want different things installed), on the same θ and data, several rounds in turn. "Equal accuracy": each tool's settings are tried from cheap to
dear until the largest residual ‖Hv − λv‖ of the ten pairs, by plain double backward, is at most 1e-4·λ₁; that setting's time counts. Densities: 4 vectors
of 60 steps each; beside the time stands how many nodes each vector puts above ½λ₁ (more than there are eigenvalues: ghosts).

``python benchmarks/curvature.py --peers DIR`` prints and stores the table; DIR holds virtual environments named ``pyhessian``, ``hessian-eigenthings`` and
``curvlinops-for-pytorch``. A peer that is not there, or fails, is shown as such.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp

PEERS = {"PyHessian": "pyhessian", "hessian-eigenthings": "hessian-eigenthings", "curvlinops": "curvlinops-for-pytorch"}
PAIRS, TARGET, VECTORS, STEPS, ROUNDS, AGAIN, PATIENCE = 10, 1e-4, 4, 60, 2, 3, 60.0


def mlp() -> nn.Module:
    """64-240-240-48-10, 85,498 parameters."""
    sizes = (64, 240, 240, 48, 10)
    parts: list[nn.Module] = []
    for i, o in itertools.pairwise(sizes):
        parts += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*parts[:-1]).double()


def cnn() -> nn.Module:
    """Two convolutions and a linear layer on 8×8 images."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
    ).double()


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


def child(tool: str, file: str, setting: int) -> None:
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
        if report["residual"] <= TARGET or spent > PATIENCE:
            break
    for _ in range(AGAIN if report["pairs"] < PATIENCE / 6 else 0):  # the first call pays for what is loaded on first use
        report["pairs"] = min(report["pairs"], seconds(settings[report["setting"]])[0])
    try:
        report["density"], nodes = seconds(density)
        report["above"] = [int((row > report["largest"] / 2).sum()) for row in nodes]
    except Exception as error:  # the peer's own failure is a row of the table
        report["density"], report["failure"] = None, f"{type(error).__name__}: {str(error).split('. ')[0][:80]}"
    print(json.dumps(report))


def measure(python: str, tool: str, file: str, setting: int) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-W", "ignore", __file__, "--child", tool, "--file", file, "--setting", str(setting)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        return {"failure": done.stderr.strip().splitlines()[-1][:120]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def products(x: Tensor, y: Tensor) -> list[str]:
    """A product with one vector and with ten: ours over the faster of the two plain ways, all in this process."""
    import sgdsde as sg
    from sgdsde import curvature

    rows = []
    for name, model in (("MLP, 85,498 parameters", mlp()), ("CNN, 5,794 parameters", cnn())):
        network = sg.objectives.Network(model, "cross_entropy", x, y)
        theta = network.flatten()
        V = torch.randn(network.dim, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        v = V[:, 0].contiguous()
        tangent = {key: part[0] for key, part in network.unflatten(v[None]).items()}
        point = {key: part.detach() for key, part in model.named_parameters()}

        def loss(parameters: dict[str, Tensor], model: nn.Module = model) -> Tensor:
            return nn.functional.cross_entropy(functional_call(model, parameters, (x,)), y)

        H = curvature.hessian_operator(network, theta)
        G, M = curvature.gauss_newton_operator(network, theta), curvature.second_moment_operator(network, theta)
        ways: dict[str, Callable[[], Any]] = {
            "double": lambda model=model, v=v: double_backward(model, x, y, v),
            "jvp": lambda point=point, tangent=tangent, loss=loss: jvp(grad(loss), (point,), (tangent,)),
            "anew": lambda network=network, theta=theta, v=v: sg.calculus.hvp(network, theta[None], v[None]),
            "H": lambda H=H, v=v: H @ v,
            "ten": lambda H=H, V=V: H @ V,
            "G": lambda G=G, v=v: G @ v,
            "M": lambda M=M, v=v: M @ v,
        }
        for way in ways.values():
            way()
        times: dict[str, list[float]] = {key: [] for key in ways}
        for _ in range(7):
            for key, way in ways.items():
                times[key].append(seconds(way)[0])
        middle = {key: statistics.median(found) for key, found in times.items()}
        fastest = min(middle["double"], middle["jvp"])
        shown = [1e3 * middle["double"], 1e3 * middle["jvp"]]
        ratios = [middle["anew"] / fastest, middle["H"] / fastest, middle["ten"] / 10 / fastest, middle["G"] / fastest, middle["M"] / fastest]
        rows.append(f"| {name} | {shown[0]:.0f} | {shown[1]:.0f} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
        print(rows[-1], flush=True)
    return rows


def main(peers: Path | None) -> None:
    import sgdsde as sg

    torch.set_num_threads(1)
    digits = sg.data.digits(count=1000)
    x, y = digits.x, digits.y
    rows = products(x, y)
    torch.manual_seed(1)
    network = sg.objectives.Network(mlp(), "cross_entropy", x, y)
    theta = network.initial(1, torch.Generator().manual_seed(1))
    for _ in range(150):
        theta = theta - 0.3 * sg.calculus.grad(network, theta)
    found: dict[str, list[dict[str, Any]]] = {tool: [] for tool in TOOLS}
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "problem.npz")
        np.savez(file, theta=theta[0].numpy(), x=x.numpy(), y=y.numpy())
        for _ in range(ROUNDS):
            for tool in TOOLS:
                python = sys.executable if tool == "sgdsde" else str((peers or Path("absent")) / PEERS[tool] / "bin" / "python")
                if not Path(python).exists():
                    found[tool].append({"failure": "absent"})
                    continue
                start = found[tool][0].get("setting") or 0 if found[tool] else 0  # the setting that reached the target before
                found[tool].append(measure(python, tool, file, start))
                print(tool, found[tool][-1], flush=True)
    reference = best(found["sgdsde"])
    lines = [line(tool, best(found[tool]), reference) for tool in TOOLS]
    with torch.no_grad():
        loss = float(network.loss(theta))
    text = [
        "# Curvature: products, eigenpairs and densities",
        "",
        f"CPU time, one thread, float64, {platform.processor() or platform.machine()}, torch {torch.__version__}, Python {platform.python_version()};",
        "digits, n = 1,000, cross-entropy. The machine was shared, so ratios count, not times.",
        f"θ of the lower table: 150 steps of full-batch descent, loss {loss:.3f}.",
        "",
        "## Products, over the faster of double backward and jvp of grad",
        "",
        "One process, all in turn, median of 7. “Anew”: `calculus.hvp`, which like the two plain ways evaluates everything for one product;",
        "operators keep the linearisation.",
        "",
        "| network | double backward, ms | jvp of grad, ms | H·v anew | H·v | H·V of ten, per vector | G·v | M·v |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"## Ten largest eigenpairs and a density of {VECTORS} × {STEPS} steps at 85,498 parameters",
        "",
        f"Least of {ROUNDS} rounds, each tool in a process and an environment of its own.",
        "“Products”: CPU time over that of one plain double backward in the same process.",
        f"Eigenpairs at the cheapest setting whose largest residual is ≤ {TARGET:g}·λ₁ (ours includes the search for what it could have missed).",
        "",
        "| tool | eigenpairs, products | times ours | residual/λ₁ | density, products | times ours | nodes above ½λ₁, each vector |",
        "|---|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(text))
    print("\n".join(text))


def best(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The least of the rounds, in units of a plain product of the same process."""
    good = [row for row in rounds if "unit" in row]
    if not good:
        return rounds[0]
    result = dict(good[-1])
    for key in ("pairs", "density"):
        values = [row[key] / row["unit"] for row in good if row.get(key) is not None]
        result[key] = min(values) if values else None
    return result


def line(tool: str, row: dict[str, Any], reference: dict[str, Any]) -> str:
    """A row of the table."""
    if row.get("pairs") is None:
        return f"| {tool} | {row.get('failure', 'failed')} | | | | | |"
    reached = "" if row["residual"] <= TARGET else " (not reached)"
    pairs = f"{row['pairs']:.0f} | {row['pairs'] / reference['pairs']:.1f} | {row['residual']:.1e}{reached}"
    if row.get("density") is None:
        return f"| {tool} | {pairs} | {row['failure']} | | |"
    return f"| {tool} | {pairs} | {row['density']:.0f} | {row['density'] / reference['density']:.1f} | {', '.join(map(str, row['above']))} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder of the peers' virtual environments")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--setting", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    child(given.child, given.file, given.setting) if given.child else main(given.peers)
