"""Where blocks run, by the words of ``--executor``."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsde.runs.cluster import Cluster
from sgdsde.runs.workers import Processes, Serial, Threads, Workers, cores
from sgdsde.types import InputError


def workers_of(text: str, *, gpus: Sequence[int] = ()) -> Workers:
    """The workers that ``--executor`` names: serial, thread[:N], process[:N], dask[:N], dask://ADDRESS.

    Raises:
        InputError: the text names none, or Dask is not installed or not there.
    """
    kind, _, rest = text.partition(":")
    if kind == "dask":
        return Cluster(rest.removeprefix("//")) if rest.startswith("//") else Cluster(None, count=_count(rest, text))
    if kind == "serial" and not rest:
        return Serial()
    if kind == "thread":
        return Threads(_count(rest, text))
    if kind == "process":
        return Processes(_count(rest, text), gpus=gpus)
    raise InputError(f"--executor {text[:80]!r}; wanted serial, thread:N, process:N, dask:N (a cluster on this machine) or dask://ADDRESS:PORT.")


def _count(text: str, whole: str) -> int:
    if not text:
        return cores()
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 5 and int(text) >= 1):
        raise InputError(f"--executor {whole[:80]!r}: wanted a number of workers ≥ 1 after the colon.")
    return int(text)
