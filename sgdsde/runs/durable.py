"""``durable_map``: a function over named jobs, whose results survive. The same driver, store and workers as a study's run, for anyone's plain function.

The ledger runs its measurements through it: a killed ``verify`` goes on where it stopped, and a damaged result is set aside and measured again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from sgdsde.runs.driver import Driver
from sgdsde.runs.identity import surroundings
from sgdsde.runs.policy import Policy, Watcher
from sgdsde.runs.product import Product, product_of
from sgdsde.runs.signals import Stop
from sgdsde.runs.threads import single_threaded
from sgdsde.runs.workers import Borrowed, Serial, Workers
from sgdsde.store import BlockStore, Tree, decode

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Call(Generic[Job, Result]):
    """One call as it travels: module-level functions and a job that pickles."""

    function: Callable[[Job], Result]
    encode: Callable[[Result], Tree]
    keep: Callable[[Result], bool]
    job: Job


@dataclass
class Mapped(Generic[Result]):
    """Results by key (stored ones and those not kept), reasons of jobs that failed for good, and whether it was stopped before the end.

    ``stored_before`` are the keys that were read instead of computed; ``repairs`` tell what was found damaged.
    """

    results: dict[str, Result] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    stored_before: set[str] = field(default_factory=set)
    repairs: list[str] = field(default_factory=list)
    unsure: bool = False


def same(value: Any) -> Any:
    """The value itself, for results that are trees already."""
    return value


def always(value: Any) -> bool:
    """Keep every result."""
    return True


def durable_map(
    function: Callable[[Job], Result],
    jobs: Mapping[str, Job],
    folder: Path,
    *,
    recipe: Mapping[str, Any],
    workers: Workers | Executor | None = None,
    encode: Callable[[Result], Tree] = same,
    decode_result: Callable[[Tree], Result] = same,
    keep: Callable[[Result], bool] = always,
    done: Callable[[str, Result, bool], object] | None = None,
    policy: Policy | None = None,
    stop: Stop | None = None,
) -> Mapped[Result]:
    """``function(job)`` for every job, each result stored under its key as soon as it is there.

    Args:
        function, encode, keep: run where the job runs; module-level, so that they pickle by name. Results that are not kept are handed back and tried
            again next time.
        jobs: by key (small letters, digits, ``-``, ``_``). A key must name everything that decides its result: a stored result is believed.
        folder: one store for all keys; several calls with one recipe share it.
        workers: :class:`Workers`, any executor, or None (here, one after another).
        decode_result: the inverse of ``encode``, here.
        done: told each key, its result, and whether it was read from the store.

    Raises:
        FolderBusy, StorageError, InputError: as :class:`sgdsde.store.BlockStore`.
        WorkersLost: the workers cannot be started anew.
    """
    crew = Borrowed(workers) if isinstance(workers, Executor) else workers or Serial()
    mapped: Mapped[Result] = Mapped()

    class Told(Watcher):
        def block(self, key: str, product: Product) -> None:
            mapped.results[key] = decode_result(decode(product.data))
            if done is not None:
                done(key, mapped.results[key], False)

    origin = {**surroundings(), "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    with BlockStore(folder, recipe, origin) as store:
        store.verify(only=jobs)
        mapped.repairs = store.repairs
        for key in jobs:
            if key in store:
                mapped.results[key] = decode_result(store.read(key))
                mapped.stored_before.add(key)
                if done is not None:
                    done(key, mapped.results[key], True)
        missing = [key for key in jobs if key not in store]
        driver = Driver(run_call, lambda key: Call(function, encode, keep, jobs[key]), store=store, workers=crew, policy=policy, watcher=Told(), stop=stop)
        outcome = driver.run(missing)
    mapped.failed, mapped.stopped, mapped.unsure = outcome.failed, outcome.stopped, outcome.unsure
    return mapped


def run_call(call: Call[Any, Any]) -> Product:
    """Carry out one call where it arrived."""
    start = time.perf_counter()
    with single_threaded():
        result = call.function(call.job)
    return product_of(call.encode(result), seconds=time.perf_counter() - start, keep=call.keep(result))
