"""Drivers for tests: in this process, and in processes of their own where something must be killed."""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import sgdsde
from sgdsde.runs import main_run, open_run
from sgdsde.runs.identity import code_digest
from sgdsde.runs.reading import StoredRun

STUDIES = Path(__file__).parent / "studies"


def go(out: Path, *words: str, study: str = "walk") -> int:
    """A driver in this process, serial unless told otherwise; ``walk`` is the tests' own study, others are those that ship."""
    folder = ("--experiments", str(STUDIES)) if study == "walk" else ()
    executor = () if "--executor" in words else ("--executor", "serial")
    if not executor and not out.exists():
        code_digest.cache_clear()  # workers read the code now; a file edited since this process began must not divide them
    return main_run([study, *folder, "--out", str(out), *executor, *words])


def said_by(capsys: pytest.CaptureFixture[str]) -> str:
    """What was written to standard error, its lines joined: sentences are broken at the width of the terminal."""
    return capsys.readouterr().err.replace("\n", " ")


@dataclass(frozen=True)
class Bench:
    """A copy of the package (a run's identity covers its code, which must not change under a test) and a place for runs."""

    code: Path
    out: Path

    @staticmethod
    def make(folder: Path) -> Bench:
        code = folder / "code"
        shutil.copytree(Path(sgdsde.__file__).parent, code / "sgdsde", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(code, quiet=1)  # drivers write none: one whose files may not grow would leave half a module to all later ones
        return Bench(code, folder / "runs")

    def command(self, *words: str, out: Path | None = None, study: str = "walk") -> list[str]:
        return [sys.executable, "-m", "sgdsde", "run", study, "--experiments", str(STUDIES), "--out", str(out or self.out), *words]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.code), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}

    def start(self, *words: str, out: Path | None = None, **options: object) -> subprocess.Popen[str]:
        """A driver in a session of its own, so that nothing it starts outlives the test unseen."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.command(*words, out=out), env=self.environment(), cwd=self.code, start_new_session=True, **{**pipes, **options})  # type: ignore[call-overload,no-any-return]

    def run(self, *words: str, out: Path | None = None, timeout: float = 120, **options: object) -> Done:
        """A driver, to its end."""
        process = self.start(*words, out=out, **options)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_session(process)
            raise
        return Done(process.returncode, stdout, stderr)


@dataclass(frozen=True)
class Done:
    """How a driver ended and what it said."""

    status: int
    stdout: str
    stderr: str


def only_run(out: Path) -> StoredRun:
    """The one run in a folder of runs."""
    (folder,) = out.iterdir()
    return open_run(folder)


def fingerprint(run: StoredRun) -> dict[str, str]:
    """Digests of all blocks and of everything that is made from them."""
    made = [path for name in ("result.json", "merged.safetensors", "figure.*") for path in run.folder.glob(name)]
    on_disk = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in run.folder.glob("chunks/*/*.safetensors")}
    assert {f"{key}.safetensors": digest for key, digest in run.digests().items()} == on_disk
    return on_disk | {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made}


def wait_until(condition: object, *, seconds: float = 30) -> None:
    """Poll until the condition holds.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def stored_lines(out: Path) -> int:
    """Lines in the manifest of the one run, 0 while there is none."""
    return sum(path.read_bytes().count(b"\n") for path in out.glob("*/blocks.jsonl"))


def kill_session(process: subprocess.Popen[str]) -> None:
    """End a driver and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def children(pid: int) -> list[int]:
    """The processes that a process started, and theirs: those that run blocks are among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def workers_of(pid: int) -> list[int]:
    """The worker processes of a driver (its spawned children, without multiprocessing's bookkeeper)."""
    found = []
    for child in children(pid):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@contextmanager
def alive(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A driver that is gone, with all it started, at the end."""
    try:
        yield process
    finally:
        kill_session(process)


def reference(bench: Bench, words: Sequence[str], folder: Path) -> dict[str, str]:
    """The fingerprint of an uninterrupted run."""
    done = bench.run(*words, "--executor", "serial", out=folder)
    assert done.status == 0, done.stderr
    return fingerprint(only_run(folder))


def last_session(run: StoredRun) -> dict[str, object]:
    """The last line of the sessions."""
    return dict(json.loads(json.dumps(run.sessions()[-1])))
