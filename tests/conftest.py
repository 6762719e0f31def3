"""One thread of linear algebra for every test: results and timings then depend on nothing else that runs. What the tests of faults share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from running import Bench, fingerprint, go, only_run

from sgdsde.runs.command import Exit

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def peace(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The fingerprint of the run that all runs with faults must equal."""
    out = tmp_path_factory.mktemp("peace")
    assert go(out) == Exit.COMPLETE
    return fingerprint(only_run(out))


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """A copy of the package that others may read as well."""
    folder = Path(tempfile.mkdtemp(prefix="sgdsde-bench-"))
    folder.chmod(0o755)
    yield Bench.make(folder)
    shutil.rmtree(folder)
