"""What the operating system refuses: files that may not grow, a full disk, folders that may not be written."""

from __future__ import annotations

import ctypes
import resource
import subprocess
from pathlib import Path

import pytest
from running import Bench, fingerprint, last_session, only_run

from sgdsde.runs.command import Exit


def test_an_operating_system_limit_on_file_size(tmp_path: Path, bench: Bench) -> None:
    """RLIMIT_FSIZE: the manifest may not grow past 2 kB. Without the limit the same command completes."""
    done = bench.run("--executor", "serial", out=tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY)))
    assert done.status == Exit.STORAGE, done.stderr
    assert "exceed the allowed file size" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    held = only_run(tmp_path).done
    assert 0 < held < 16
    assert bench.run("--executor", "serial", out=tmp_path).status == Exit.COMPLETE
    assert last_session(only_run(tmp_path))["blocks"] == 16 - held


def test_a_real_full_disk(tmp_path: Path, bench: Bench) -> None:
    """A small tmpfs, where mounting is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        done = bench.run("--executor", "serial", "--cells", "40", out=disk)
        assert done.status == Exit.STORAGE, done.stderr
        assert "the disk is full" in done.stderr.replace("\n", " ")
        held = only_run(disk).done
        assert held > 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert bench.run("--executor", "serial", "--cells", "40", out=disk).status == Exit.COMPLETE
        assert last_session(only_run(disk))["blocks"] == 160 - held
        fingerprint(only_run(disk))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, bench: Bench) -> None:
    """Permissions do not bind root, unless it gives the capability up."""
    folder = tmp_path / "readonly"
    folder.mkdir()
    folder.chmod(0o555)
    done = bench.run("--executor", "serial", out=folder / "runs", preexec_fn=bound_by_permissions)
    assert done.status == Exit.STORAGE, done.stderr
    assert "permission denied. Choose a folder that can be written with --out" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_stored_run_that_may_not_be_written_can_still_be_read(tmp_path: Path, bench: Bench) -> None:
    """Resuming is refused in words; reading needs no permission to write."""
    assert bench.run("--executor", "serial", out=tmp_path / "runs").status == Exit.COMPLETE
    run = only_run(tmp_path / "runs")
    for path in (run.folder, *run.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = bench.run("--executor", "serial", out=tmp_path / "runs", preexec_fn=bound_by_permissions)
    assert done.status == Exit.STORAGE, done.stderr
    assert "permission denied" in done.stderr.replace("\n", " ")
    assert (run.state, run.done) == ("complete", 16)


def bound_by_permissions() -> None:
    """Before exec: drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from what the new program may have."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
