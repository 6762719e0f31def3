"""``sgdsde run``: from words to runs. A user's mistake is one sentence and status 2; what stops a run says so in its exit status.

0   complete                                   73  another driver works in the folder
1   a block failed for good                    74  the file system refused (full, read-only, broken)
2   wrong usage                                75  stopped before the end: run the same command again
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path

from sgdsde.columns import fill, listed
from sgdsde.runs import config_file
from sgdsde.runs.arguments import OPTIONS, Arguments, parse
from sgdsde.runs.config import resolve, settings
from sgdsde.runs.executors import workers_of
from sgdsde.runs.listing import describe, folder_of_studies, load
from sgdsde.runs.one import Ended, Run, carry_out
from sgdsde.runs.policy import Policy
from sgdsde.runs.printed import printed
from sgdsde.runs.signals import Stop, listening
from sgdsde.runs.study import Study
from sgdsde.runs.workers import Threads, Workers, WorkersLost, unshared_bars
from sgdsde.store import FolderBusy, StorageError
from sgdsde.types import InputError, SgdsdeError, suggest


class Exit(IntEnum):
    """Exit statuses, after ``sysexits.h``."""

    COMPLETE = 0
    FAILED = 1
    USAGE = 2
    BUSY = 73
    STORAGE = 74
    RESUME = 75


def main_run(argv: Sequence[str]) -> int:
    """Carry out ``sgdsde run`` with these arguments; returns the exit status and prints what a person must know."""
    unshared_bars()
    try:
        arguments = parse(argv)
        folder = folder_of_studies(arguments.path("experiments"))
        if arguments.help or not arguments.name:
            print(_help(arguments, folder))
            return Exit.COMPLETE if arguments.help else Exit.USAGE
        runs = list(_runs(arguments, folder))
        policy = _policy(arguments)
        with listening(Stop()) as stop:
            workers = _workers(arguments, runs)
            return _carry_out(runs, workers, policy, stop, arguments)
    except FolderBusy as error:
        return _say(error, Exit.BUSY)
    except StorageError as error:
        return _say(error, Exit.STORAGE)
    except WorkersLost as error:
        return _say(error, Exit.RESUME)
    except SgdsdeError as error:
        return _say(error, Exit.USAGE)


def _carry_out(runs: Sequence[Run], workers: Workers, policy: Policy, stop: Stop, arguments: Arguments) -> int:
    status, kill = Exit.COMPLETE, True
    try:
        for number, run in enumerate(runs, 1):
            if stop.level:
                return Exit.RESUME
            if len(runs) > 1:
                _tell(f"run {number} of {len(runs)}: {run.folder}")
            ended = carry_out(run, workers, policy=policy, stop=stop, options=arguments.options)
            status = max(status, _report(ended))
            if ended.outcome.stopped:
                return Exit.RESUME
            kill = ended.outcome.unsure
        return status
    except KeyboardInterrupt:
        print(file=sys.stderr)
        _tell(f"stopped at once by {stop.why}; every block that was stored is safe. Run the same command again to go on.")
        kill = True
        return Exit.RESUME
    finally:
        workers.close(kill=kill)
        if kill and isinstance(workers, Threads) and sys.exc_info()[0] is None and stop.level >= 2:
            sys.stderr.flush()
            os._exit(Exit.RESUME)  # a thread cannot be killed, and the interpreter would wait for it


def _report(ended: Ended) -> Exit:
    """Say how one run ended."""
    run, outcome = ended.run, ended.outcome
    if ended.summary is not None:
        print(printed(ended.summary.lines))
        for note in ended.summary.notes:
            print(fill(note, rest="  "))
        print(f"run: {run.folder}")
        return Exit.COMPLETE
    if outcome.stopped:
        what = f"stopped after the blocks in flight; {ended.stored} of {run.layout.blocks} blocks are stored"
        _tell(f"{what}. Run the same command again to go on.")
        return Exit.RESUME
    for key, why in sorted(outcome.failed.items())[:5]:
        _tell(f"block {key} ({run.layout.place(int(key))[0]}): {why}")
    _tell(f"{len(outcome.failed)} block(s) failed for good, {ended.stored} of {run.layout.blocks} are stored in {run.folder}.")
    _tell("Mend the cause and run the same command again: only what is missing is computed.")
    return Exit.FAILED


def _runs(arguments: Arguments, folder: Path) -> Iterator[Run]:
    """One run for each point of the grid, all checked before the first begins."""
    study = load(arguments.name, folder)
    clash = sorted(set(settings(study.config)) & set(OPTIONS))
    if clash:
        raise InputError(f"The study's setting {clash[0]!r} has the name of an option of sgdsde run; rename it.")
    profile = arguments.options.get("profile", "quick")
    if profile not in study.profiles and "profile" in arguments.options:
        raise InputError(f"{arguments.name} has no profile {profile!r}; it has {', '.join(study.profiles) or 'none'}.")
    file = arguments.path("config")
    layers = [(f"profile {profile}", study.profiles.get(profile, {})), (f"--config {file}", config_file.load(file) if file else {})]
    out = arguments.path("out") or Path("runs")
    unknown = sorted(set(arguments.settings) - set(settings(study.config)))
    if unknown:
        known = [*settings(study.config), *OPTIONS]
        raise InputError(f"--{unknown[0][:80]} is neither an option nor a setting of {arguments.name}." + suggest(unknown[0][:80], known))
    seen: dict[str, Run] = {}
    for point in arguments.points():
        config = resolve(study.config, [*layers, ("command line", arguments.settings), ("--grid", point)])
        run = Run(arguments.name.replace("_", "-"), study, config, folder, out)
        if run.identity in seen:
            raise InputError("--grid: two of its points are the same configuration; write each value once.")
        seen[run.identity] = run
        run.recipe()  # cells and size are refused now, not after the first run
        yield run


def _policy(arguments: Arguments) -> Policy:
    deadline, attempts = arguments.options.get("deadline"), arguments.options.get("attempts", "3")
    try:
        seconds = None if deadline is None else float(deadline)
    except ValueError:
        seconds = -1.0
    if seconds is not None and not 0 < seconds < 1e9:
        raise InputError(f"--deadline {deadline!r}: wanted seconds > 0.")
    if not (attempts.isascii() and attempts.isdigit() and len(attempts) < 4 and int(attempts) >= 1):
        raise InputError(f"--attempts {attempts[:40]!r}: wanted a whole number ≥ 1.")
    return Policy(attempts=int(attempts), deadline=seconds)


def _workers(arguments: Arguments, runs: Sequence[Run]) -> Workers:
    text = arguments.options.get("gpus")
    gpus: tuple[int, ...] = ()
    if text is not None:
        parts = text.split(",")
        if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts) or len(set(parts)) < len(parts):
            raise InputError(f"--gpus {text[:80]!r}: wanted device numbers separated by commas, each once.")
        gpus = tuple(map(int, parts))
    kind = arguments.options.get("executor", "process")
    if gpus and not kind.startswith("process"):
        raise InputError("--gpus goes with --executor process:N; a Dask cluster pins its workers itself.")
    if gpus and any(run.config.device != "cuda" for run in runs):
        raise InputError("--gpus goes with --device cuda.")
    if not gpus and any(run.config.device == "cuda" for run in runs) and not kind.startswith("dask"):
        import torch

        if not torch.cuda.is_available():
            raise InputError("--device cuda: torch finds no CUDA device here; use --device cpu.")
    return workers_of(kind, gpus=gpus)


def _help(arguments: Arguments, folder: Path) -> str:
    lines = ["usage: sgdsde run NAME [--SETTING VALUE]… [OPTION]…", ""]
    lines += ["Runs a study, or goes on with it: the same command resumes,", "other settings are another run.", ""]
    if arguments.name:
        study: Study = load(arguments.name, folder)
        lines += [fill(f"{arguments.name}: {study.title}", rest="  "), "", "settings:"]
        lines += [
            _entry(f"--{s.name}", f"{s.help} (default: {_default(s.default)}{'; may be none' if s.bounds.get('empty') else ''})")
            for s in settings(study.config).values()
        ]
        for name, values in study.profiles.items():
            lines.append(_entry(f"profile {name}", ", ".join(f"{key} {_default(value)}" for key, value in values.items()) or "the defaults"))
    else:
        lines += ["studies (sgdsde run NAME --help shows their settings):", *(_entry(name, text) for name, text in describe(folder).items())]
    lines += ["", "options:", *(_entry(f"--{name} {kind}", text) for name, (kind, text) in OPTIONS.items())]
    lines += [
        "",
        "exit status: 0 complete, 1 a block failed, 2 wrong usage, 73 folder in use,",
        "74 file system refused, 75 stopped: run the same command again",
    ]
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    return listed(name, text, 26, before="  ")


def _default(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def _tell(text: str) -> None:
    print(fill(f"sgdsde: {text}", rest=""), file=sys.stderr)


def _say(error: Exception, status: Exit) -> int:
    _tell(f"error: {error}")
    return status
