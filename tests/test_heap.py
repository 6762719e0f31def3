"""Freed memory stays with the process: counted in page faults, in processes of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

#: arrays of 2 MB made one from another and dropped together, as layers of a network are; prints page faults a round, and what keep_freed said
_PROGRAM = """
import resource, sys
import numpy as np
from sgdsde.heap import keep_freed
told = keep_freed() if sys.argv[1] == "kept" else None

def round():
    made = [np.ones(2**18)]
    for _ in range(8):
        made.append(made[-1] * 2 + 1)

for _ in range(20):
    round()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    round()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10, told)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc")


def faults(way: str, **environment: str) -> tuple[float, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
    out = subprocess.run([sys.executable, "-c", _PROGRAM, way], env=clean | environment, capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), out[1]


def test_arrays_that_were_freed_are_not_fetched_again() -> None:
    """The better of two runs, for luck decides where the heap begins. The mutant does not tell the allocator: thousands of faults a round."""
    kept, left = [faults("kept") for _ in range(2)], [faults("left alone") for _ in range(2)]
    assert {told for _, told in kept} == {"True"}
    assert min(count for count, _ in kept) < 0.1 * max(count for count, _ in left)
    assert max(count for count, _ in left) > 500


def test_an_environment_that_sets_the_allocator_is_left_alone() -> None:
    assert faults("kept", MALLOC_TRIM_THRESHOLD_="1000000")[1] == "False"
    assert faults("kept", GLIBC_TUNABLES="glibc.malloc.tcache_count=7")[1] == "False"


def test_a_run_tells_the_allocator() -> None:
    program = """
import sgdsde as sg
from sgdsde.heap import keep_freed
assert keep_freed.cache_info().currsize == 0
sg.simulate(sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0), 0.1), [0.0], horizon=0.1, paths=2, seed=1, progress=False)
assert keep_freed.cache_info().currsize == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True)
