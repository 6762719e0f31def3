"""Kill, damage, resume, compare: a campaign of faults against one run, at any count.

``test_faults_killed.py`` runs a small one, ``benchmarks/faults.py`` a large one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from running import Bench, alive, fingerprint, lives, only_run, reference, stored_lines, wait_until, workers_of

from sgdsde.store import read_manifest

KINDS = ("driver", "worker", "both", "driver and damage")


@dataclass
class Report:
    """What a campaign did and found. ``lost`` are acknowledged blocks that were gone or different later, without having been damaged: it must stay empty."""

    kills: Counter[str] = field(default_factory=Counter)
    damages: Counter[str] = field(default_factory=Counter)
    drives: int = 0
    completed: int = 0
    blocks_done_again: int = 0
    lost: list[str] = field(default_factory=list)
    wrong_results: int = 0
    unexpected: list[str] = field(default_factory=list)
    orphans: int = 0
    seconds: float = 0.0


def campaign(bench: Bench, folder: Path, *, kills: int, seed: int, blocks: int = 24, pause: float = 0.05, kinds: tuple[str, ...] = KINDS) -> Report:
    """Until ``kills`` processes were killed: run, kill at a random moment, resume; a run that completes is compared with the uninterrupted one."""
    report, dice, start = Report(), random.Random(seed), time.monotonic()
    words = ["--cells", str(blocks), "--paths", "16", "--block_paths", "16", "--pause", str(pause)]
    wanted = reference(bench, words, folder / "reference")
    executors = ("process:2", "serial", "process:2", "thread:2")
    out, damaged = folder / f"run{report.completed}", set[str]()
    while sum(report.kills.values()) < kills:
        executor = dice.choice(executors)
        kind = dice.choice([kind for kind in kinds if executor.startswith("process") or kind != "worker"])
        before = _acknowledged(out)
        if kind == "driver and damage":
            damaged |= _damage(out, dice, report)  # a driver may be killed before it looks: what was damaged stays suspect until the run is complete
        ended = _drive_and_kill(bench, [*words, "--executor", executor], out, kind, dice, report)
        after = _acknowledged(out)
        gone = {key for key in before if key not in damaged and after.get(key) != before[key]}
        report.lost += [f"{out.name}/{key}" for key in sorted(gone)]
        report.drives += 1
        if ended is not None and ended != 0:
            report.unexpected.append(f"exit status {ended} after {kind}")
        if ended == 0:
            report.completed += 1
            run = only_run(out)
            report.wrong_results += fingerprint(run) != wanted
            report.blocks_done_again += (run.folder / "blocks.jsonl").read_bytes().count(b'"sha256"') - blocks
            out, damaged = folder / f"run{report.completed}", set()
    done = bench.run(*words, "--executor", "process:2", out=out)
    report.wrong_results += done.status != 0 or fingerprint(only_run(out)) != wanted
    report.completed += 1
    report.seconds = time.monotonic() - start
    return report


def _drive_and_kill(bench: Bench, words: list[str], out: Path, kind: str, dice: random.Random, report: Report) -> int | None:
    """Start a driver and kill as told at a random moment of its life; its exit status if it ended by itself."""
    held = stored_lines(out)
    with alive(bench.start(*words, out=out, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)) as process:
        if dice.random() < 0.8:  # else: while it starts
            with suppress(TimeoutError):
                wait_until(lambda: process.poll() is not None or stored_lines(out) > held, seconds=20)
        time.sleep(dice.random() * dice.choice((0.05, 0.4, 1.0)))
        if process.poll() is not None:
            return process.returncode
        workers = workers_of(process.pid)
        victims = {"driver": [process.pid], "worker": workers[:1], "both": [process.pid, *workers[:1]], "driver and damage": [process.pid]}[kind]
        for victim in dice.sample(victims, len(victims)):
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                report.kills["driver" if victim == process.pid else "worker"] += 1
        if kind == "worker":
            return process.wait(timeout=120)
        process.wait()
        with suppress(TimeoutError):
            wait_until(lambda: not any(lives(pid) for pid in workers), seconds=5)
        report.orphans += sum(lives(pid) for pid in workers)
    return None


def _acknowledged(out: Path) -> dict[str, str]:
    """What the manifest acknowledges, by key."""
    paths = list(out.glob("*/blocks.jsonl"))
    return {key: entry.sha256 for key, entry in read_manifest(paths[0]).entries.items()} if paths else {}


def _damage(out: Path, dice: random.Random, report: Report) -> set[str]:
    """Flip, cut, empty or remove a random chunk or manifest line; returns the blocks that may be gone for it."""
    chunks = sorted(out.glob("*/chunks/*/*.safetensors"))
    manifests = list(out.glob("*/blocks.jsonl"))
    if not chunks or not manifests:
        return set()
    how = dice.choice(("flip", "cut", "empty", "remove", "flip the manifest", "tear the manifest"))
    report.damages[how] += 1
    target = manifests[0] if "manifest" in how else dice.choice(chunks)
    before = read_manifest(manifests[0]).entries
    data = bytearray(target.read_bytes())
    if how.startswith("flip"):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif how in ("cut", "tear the manifest"):
        del data[-dice.randrange(1, min(len(data), 200)) :]
    elif how == "empty":
        data.clear()
    if how == "remove":
        target.unlink()
    else:
        target.write_bytes(bytes(data))
    return {target.stem} if target in chunks else set(before) - set(read_manifest(manifests[0]).entries)
