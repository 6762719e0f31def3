"""Workers that are killed leave no semaphore behind: a run ends without a word of Python's resource tracker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: a worker simulates (and with it makes a progress bar, shown or not), another hangs; both are killed
SCRIPT = """
import time
from concurrent.futures import ProcessPoolExecutor

from sgdsde.runs import workers


def simulate(seed):
    import sgdsde as sg

    noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
    sg.simulate(sg.kernels.SGD(noise, 0.1), [0.0], horizon=1.0, paths=4, seed=seed)


def hang(seed):
    time.sleep(60)


def nothing():
    pass


class Careless(workers.Processes):
    def _start(self):
        self._crew = workers.Crew(())
        self._pool = ProcessPoolExecutor(self.count, mp_context=self._crew, initializer=nothing)


if __name__ == "__main__":
    crew = {kind}(1)
    crew.submit(simulate, 1).result()
    crew.submit(hang, 2)
    crew.renew()
    crew.submit(simulate, 1).result()
    crew.close(kill=True)
    print("closed")
"""


@pytest.mark.parametrize(("kind", "leaks"), [("workers.Processes", False), ("Careless", True)])
def test_killed_workers_leave_no_semaphore(kind: str, leaks: bool, tmp_path: Path) -> None:
    """The mutant is a pool whose workers begin unprepared."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("{kind}", kind))
    done = subprocess.run([sys.executable, "-W", "default", str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "closed\n"
    assert ("leaked semaphore" in done.stderr) is leaks, done.stderr
