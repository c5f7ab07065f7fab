"""Run one seed, or many on all cores."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import trio
import trio._core._run as trio_run

from failoverd_lab.chaos.draw import History, draw
from failoverd_lab.chaos.machine import ChaosMachine, Failure, where
from failoverd_lab.chaos.story import tell

LIMIT = 60
"""Seconds of CPU after which a history is given up: something in it loops. Real time would judge the machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a history; `seconds` are real time, `hours` its own."""

    seed: int
    events: int
    failures: tuple[Failure, ...]
    steps: int
    requests: int
    seconds: float
    hours: float


class TooLongError(BaseException):
    """LIMIT has passed. Not an Exception, so that no handler inside the history catches it."""


def run(history: History, report: Callable[[str], None] | None = None, limit: int = LIMIT) -> Outcome:
    """Run a history; the same one gives the same result every time. In the main thread only, as `limit` uses a
    signal."""
    chaos = ChaosMachine(history, report)
    log = logging.getLogger("failoverd")
    level, propagate = log.level, log.propagate
    log.setLevel(logging.DEBUG if report is not None else logging.INFO)
    log.propagate = False
    began = time.perf_counter()
    try:
        with one_order(history.seed), limited(limit):
            trio.run(tell, chaos, clock=chaos.clock)
    except TooLongError:
        chaos.fail("no-circles", f"more than {limit} s of CPU")
    except BaseException as error:
        if _has(error, KeyboardInterrupt):
            raise
        kind = "no-circles" if _has(error, TooLongError) else "harness"
        chaos.fail(kind, f"{error!r:.200} at {where(error)}")
        if report is not None:
            logging.getLogger(__name__).exception("the history broke")
    finally:
        log.setLevel(level)
        log.propagate = propagate
    took = time.perf_counter() - began
    asked = len(chaos.ledger.requests)
    return Outcome(
        history.seed, len(history.events), tuple(chaos.failures), chaos.steps, asked, took, chaos.now() / 3600
    )


def run_all(seeds: Sequence[int], events: int, processes: int) -> Iterator[Outcome]:
    """Run all of these seeds, and yield the results as they end."""
    if processes == 1:
        yield from (_run_seed((seed, events)) for seed in seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _at_start) as pool:
        yield from pool.imap_unordered(_run_seed, [(seed, events) for seed in seeds], chunksize=4)


def _at_start() -> None:
    """Ignore interrupts: the parent process handles them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_seed(job: tuple[int, int]) -> Outcome:
    seed, events = job
    return run(draw(seed, events))


def cores() -> int:
    """Return how many processes can run at once."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def one_order(seed: int) -> Iterator[None]:
    """Let this seed decide which of several tasks trio runs first.

    trio has a switch for that, for tests, which is not in its documented interface; it exists from 0.17 on.
    """
    before = trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    state = trio_run._r.getstate()
    setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # noqa: B010 (it is Final)
    trio_run._r.seed(seed)
    try:
        yield
    finally:
        setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", before)  # noqa: B010
        trio_run._r.setstate(state)


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def judged(seed: int, tell: Callable[[], object], fail: Callable[[str], None]) -> None:
    """Tell the history of a seed, without a line of the daemon's log, and have `fail` told of what ended it early."""
    log = logging.getLogger("failoverd")
    propagate, log.propagate = log.propagate, False
    silent = logging.NullHandler()
    log.addHandler(silent)
    try:
        with one_order(seed), limited(LIMIT):
            tell()
    except BaseException as error:
        if _has(error, KeyboardInterrupt):
            raise
        fail(f"more than {LIMIT} s of CPU" if _has(error, TooLongError) else f"{error!r:.300}")
    finally:
        log.removeHandler(silent)
        log.propagate = propagate


def _has(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_has(inner, kind) for inner in error.exceptions)
    return isinstance(error, kind)
