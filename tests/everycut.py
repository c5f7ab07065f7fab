"""Where a history is cut: after each of its actions, or in the quick tier after every eighth.

Half of the time of the pure rooms' tests goes into histories that are told again and again, cut after another action or
with another request refused each time. The tier `histories` tells them all. `quick` and `unit` set FAILOVERD_QUICK, and
each test then takes every eighth cut, from a first one that its own name decides: the cuts are the same from run to
run and on every machine, and tests over one history do not all have the same ones. Random histories are fewer then by
the same factor, and always the same.
"""

from __future__ import annotations

import os
import zlib

QUICK = bool(os.environ.get("FAILOVERD_QUICK"))
SHARE = 8


def cuts(*limits: int) -> range:
    """As `range`: the numbers of the actions to cut after, or of the requests to refuse."""
    return share(*limits) if QUICK else range(*limits)


def share(*limits: int) -> range:
    """As `cuts` in the quick tier, always: for a variant of a history that is told in full."""
    every = range(*limits)
    return every[_first(len(every)) :: SHARE]


def examples(most: int) -> int:
    """How many random histories to tell, of so many in the whole test."""
    return most // SHARE if QUICK else most


def _first(count: int) -> int:
    """The first cut of the test that runs: never beyond the last, so that no test is left without any."""
    test = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)")
    return zlib.crc32(test.encode()) % max(1, min(SHARE, count))
