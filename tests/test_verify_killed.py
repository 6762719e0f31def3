"""The ledger by force: ``sgdsde verify`` killed with SIGKILL in the middle goes on from what was measured, and its report equals an uninterrupted one's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from running import Bench, alive, wait_until

CLAIMS = ("A1", "A17", "A21", "B9")
#: what tells when and how long, not what was found
WHEN = {"seconds"}


def verify(bench: Bench, out: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "sgdsde", "verify", "--workers", "1", "--out", str(out), *(word for claim in CLAIMS for word in ("--claim", claim))]
    environment = {**bench.environment(), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(words, env=environment, cwd=bench.code, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(bench: Bench, out: Path) -> tuple[int, str]:
    with alive(verify(bench, out)) as process:
        stdout, stderr = process.communicate(timeout=120)
        return process.returncode, stdout + stderr


def acknowledged(out: Path) -> int:
    path = out / "measurements" / "blocks.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def written(out: Path) -> dict[Path, tuple[int, int]]:
    """The stored measurements, and which file on disk each is: one that is written anew is another file."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (out / "measurements").glob("chunks/*/*.safetensors")}


def found(value: Any) -> Any:
    """A report without its clocks."""
    if isinstance(value, dict):
        return {key: found(inner) for key, inner in value.items() if key not in WHEN}
    return [found(inner) for inner in value] if isinstance(value, list) else value


def test_a_killed_ledger_goes_on(tmp_path: Path, bench: Bench) -> None:
    """Killed with SIGKILL after its first stored measurement, again after two more; the third start reads what the others measured."""
    status, said = finish(bench, tmp_path / "peace")
    assert status == 0, said
    out, before = tmp_path / "killed", 0
    for more in (1, 2):
        with alive(verify(bench, out)) as process:
            wait_until(lambda: acknowledged(out) >= before + more, seconds=60)  # noqa: B023
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert not (out / "report.json").exists()
        before = acknowledged(out)
    kept = written(out)
    assert len(kept) >= 3
    status, said = finish(bench, out)
    assert status == 0, said
    assert kept.items() <= written(out).items(), "what was acknowledged before the kills is read, not measured again"
    peace, killed = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("peace", "killed"))
    assert found(peace) == found(killed)
    for path in (tmp_path / "peace" / "figures").glob("*.csv"):
        assert path.read_bytes() == (out / "figures" / path.name).read_bytes()
