"""Exit times against a search through saved torchsde paths: time and memory, ratios of one run.

The same SDE (SME-1, linear, one dimension), the same Euler steps, the same monitor (iterates). torchsde integrates every path to the horizon and saves
each iterate; the first one outside is searched for afterwards. ``exit_times`` drops a path when it leaves. Each measurement runs in a process of
its own, so that its peak memory over the imports is its own. ``python benchmarks/exits.py`` prints and stores the table.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch
import torchsde
from page import Page

import sgdsde as sg

ETA, SUBSTEPS = 0.1, 8
#: name -> (curvature, half-width of the region in units of √η·σ·√η, paths, horizon in SDE time)
CASES = {
    "saddle, ηλ = −0.2, horizon twice the slowest exit": (-2.0, 20.0, 100_000, 5.0),
    "saddle, ηλ = −0.2, horizon 25 mean exits": (-2.0, 20.0, 10_000, 40.0),
    "minimum, ηλ = 0.5, horizon 5 mean exits": (5.0, 3.3, 2_000, 100.0),
}
S = 0.05  # noise: eta·sigma


class Linear(torch.nn.Module):
    """SME-1 as a user of torchsde would write it."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.curvature = curvature

    def f(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -self.curvature * y

    def g(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.full_like(y, S / ETA**0.5)


def ours(curvature: float, half: float, paths: int, horizon: float) -> float:
    """Median exit time by exit_times."""
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([[curvature]]), (S / ETA) ** 2)
    kernel = sg.kernels.EulerMaruyama(sg.sdes.SME1(noise, ETA), ETA / SUBSTEPS)
    region = sg.regions.Interval(-half * S, half * S)
    exits = sg.exit_times(kernel, [0.0], region=region, horizon=horizon, paths=paths, seed=1, progress=False)
    return float(torch.as_tensor(exits.times).median())


def saved(curvature: float, half: float, paths: int, horizon: float) -> float:
    """Median exit time by saving every iterate of torchsde's paths and searching."""
    ticks = round(horizon / ETA)
    times = torch.arange(ticks + 1, dtype=torch.float64) * ETA
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = torchsde.sdeint(Linear(curvature), torch.zeros(paths, 1, dtype=torch.float64), times, dt=ETA / SUBSTEPS, method="euler")
    outside = states[:, :, 0].abs() >= half * S
    first = torch.where(outside.any(0), outside.to(torch.int8).argmax(0), ticks)
    return float((first * ETA).double().median())


def child(function: str, case: str, scale: int) -> None:
    """One measurement: CPU seconds, and peak memory over what the imports and a warm-up took."""
    torch.set_num_threads(1)
    work = {"ours": ours, "saved": saved}[function]
    curvature, half, paths, horizon = CASES[case]
    work(curvature, half, 64, ETA * 4)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    median = work(curvature, half, paths // scale, horizon)
    seconds, after = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "mib": (after - before) / 1024, "median": median}))


def measure(function: str, case: str, scale: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, function, case, str(scale)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    page, given = Page.from_command_line(Path(__file__).stem, "Exit times against a search through saved torchsde paths")
    scale = 50 if given.quick else 1
    page.text(
        f"SME-1 in one dimension, {SUBSTEPS} Euler steps an iterate, torchsde {torchsde.__version__}; CPU times, each in a process of its own.",
        "Memory: peak over imports and a warm-up. The last column checks that both find the same median exit time.",
    )
    table = page.table(["dtype", "threads", "case", "paths", "times faster", "times less memory", "median exit, ours / saved paths"])
    for case in CASES:
        a, b = measure("ours", case, scale), measure("saved", case, scale)
        gain, memory = b["seconds"] / a["seconds"], b["mib"] / max(a["mib"], 1.0)
        table.row("float64", 1, case, f"{CASES[case][2] // scale:,}", f"{gain:.1f}", f"{memory:.0f}", f"{a['median']:.3g} / {b['median']:.3g}")
    page.close()


if __name__ == "__main__":
    child(*sys.argv[1:3], int(sys.argv[3])) if len(sys.argv) == 4 and sys.argv[1] in ("ours", "saved") else main()
