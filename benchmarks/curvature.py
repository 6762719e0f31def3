"""Curvature against double backward, jvp of grad, PyHessian, hessian-eigenthings and curvlinops: ratios of CPU time on one thread.

Products: all three in one process, in turn. Ten largest eigenpairs and the spectral density at 85,498 parameters: every tool in an environment and a process of
its own (they want different things installed), on the same θ and data, several rounds in turn. "Equal accuracy": each tool's settings are tried from cheap to
dear until the largest residual ‖Hv − λv‖ of the ten pairs, by plain double backward, is at most 1e-4·λ₁; that setting's time counts. Densities: 4 vectors
of 60 steps each; beside the time stands how many nodes each vector puts above ½λ₁ (more than there are eigenvalues: ghosts).

``python benchmarks/curvature.py`` prints the tables and stores ``benchmarks/curvature.md``. A peer that is not there (``benchmarks/peers/make.sh`` makes
them), or fails, is shown as such.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clock import in_turn
from page import HERE, Page, Table, peer
from peers.curvature_tools import STEPS, TARGET, TOOLS, VECTORS, double_backward, mlp
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp

import sgdsde as sg
from sgdsde import curvature

#: tool -> its environment; rounds, and seconds of the first one above which there is no second
PEERS = {"PyHessian": "pyhessian", "hessian-eigenthings": "hessian-eigenthings", "curvlinops": "curvlinops"}
ROUNDS, LONG = 2, 10.0


def cnn() -> nn.Module:
    """Two convolutions and a linear layer on 8×8 images."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
    ).double()


def measure(python: str, tool: str, file: str, setting: int, patience: float) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-W", "ignore", str(HERE / "peers" / "curvature_tools.py"), tool, file, str(setting), str(patience)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        return {"failure": done.stderr.strip().splitlines()[-1][:120]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def products(page: Page, table: Table, x: Tensor, y: Tensor) -> None:
    """A product with one vector and with ten: ours over the faster of the two plain ways, all in this process."""
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
        middle = in_turn(ways, repeats=7)
        fastest = min(middle["double"], middle["jvp"])
        ratios = [middle["anew"] / fastest, middle["H"] / fastest, middle["ten"] / 10 / fastest, middle["G"] / fastest, middle["M"] / fastest]
        must = "at most 1.5× the faster of double backward and jvp of grad"
        page.promise(f"a Hessian–vector product anew, {name}", must, ratios[0], at_most=1.5, dtype="float64", threads="1")
        plain = (f"{1e3 * middle['double']:.0f}", f"{1e3 * middle['jvp']:.0f}")
        table.row("float64", 1, name, *plain, *(f"{ratio:.2f}" for ratio in ratios))


def problem(file: str, x: Tensor, y: Tensor, steps: int) -> float:
    """θ after ``steps`` of full-batch descent, with the data, into ``file``; the loss there."""
    torch.manual_seed(1)
    network = sg.objectives.Network(mlp(), "cross_entropy", x, y)
    theta = network.initial(1, torch.Generator().manual_seed(1))
    for _ in range(steps):
        theta = theta - 0.3 * sg.calculus.grad(network, theta)
    np.savez(file, theta=theta[0].numpy(), x=x.numpy(), y=y.numpy())
    with torch.no_grad():
        return float(network.loss(theta))


def rounds(file: str, count: int, patience: float) -> dict[str, list[dict[str, Any]]]:
    """Every tool ``count`` times, in turn; those that take long, once."""
    found: dict[str, list[dict[str, Any]]] = {tool: [] for tool in TOOLS}
    for _ in range(count):
        for tool in TOOLS:
            if found[tool] and (found[tool][0].get("pairs") or 0.0) > LONG:
                continue
            python = Path(sys.executable) if tool == "sgdsde" else peer(PEERS[tool])
            start = found[tool][0].get("setting") or 0 if found[tool] else 0  # the setting that reached the target before
            found[tool].append({"failure": "absent"} if python is None else measure(str(python), tool, file, start, patience))
            print(tool, found[tool][-1], flush=True)
    return found


def main(page: Page) -> None:
    torch.set_num_threads(1)
    digits = sg.data.digits(count=100 if page.quick else 1000)
    x, y = digits.x, digits.y
    page.text(f"CPU times of one thread; digits, n = {len(x):,}, cross-entropy.")
    page.text("## Products, over the faster of double backward and jvp of grad")
    page.text(
        "One process, all in turn, median of 7. “Anew”: `calculus.hvp`, which like the two plain ways evaluates everything for one product;",
        "operators keep the linearisation.",
    )
    columns = ["network", "double backward, ms", "jvp of grad, ms", "H·v anew", "H·v", "H·V of ten, per vector", "G·v", "M·v"]
    products(page, page.table(["dtype", "threads", *columns]), x, y)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "problem.npz")
        loss = problem(file, x, y, steps=20 if page.quick else 150)
        found = rounds(file, *((1, 0.5) if page.quick else (ROUNDS, 60.0)))
    page.text(f"## Ten largest eigenpairs and a density of {VECTORS} × {STEPS} steps at 85,498 parameters")
    page.text(
        f"θ: full-batch descent to a loss of {loss:.3f}. Least of the rounds, each tool in a process and an environment of its own.",
        "“Products”: CPU time over that of one plain double backward in the same process.",
        f"Eigenpairs at the cheapest setting whose largest residual is ≤ {TARGET:g}·λ₁ (ours includes the search for what it could have missed).",
    )
    columns = ["tool", "eigenpairs, products", "times ours", "residual/λ₁", "density, products", "times ours", "nodes above ½λ₁, each vector"]
    table, reference = page.table(["dtype", "threads", *columns]), best(found["sgdsde"])
    others = [best(found[tool]) for tool in PEERS]
    for tool in TOOLS:
        table.row("float64", 1, *cells(tool, best(found[tool]), reference))
    for work, key in (("ten largest eigenpairs, 85,498 parameters", "pairs"), ("spectral density, 85,498 parameters", "density")):
        good = [row[key] for row in others if row.get(key) is not None and (row["residual"] <= TARGET or key == "density")]
        ratio = min(good) / reference[key] if good else None
        page.promise(work, "not slower than the best peer (its time over ours ≥ 1)", ratio, at_least=1, dtype="float64", threads="1")
    page.close()


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


def cells(tool: str, row: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """A row of the table."""
    if row.get("pairs") is None:
        return [tool, row.get("failure", "failed"), *[""] * 5]
    reached = "" if row["residual"] <= TARGET else " (not reached)"
    pairs = [tool, f"{row['pairs']:.0f}", f"{row['pairs'] / reference['pairs']:.1f}", f"{row['residual']:.1e}{reached}"]
    if row.get("density") is None:
        return [*pairs, row["failure"], "", ""]
    return [*pairs, f"{row['density']:.0f}", f"{row['density'] / reference['density']:.1f}", ", ".join(map(str, row["above"]))]


if __name__ == "__main__":
    main(Page.from_command_line(Path(__file__).stem, "Curvature: products, eigenpairs and densities")[0])
