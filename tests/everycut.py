"""Where a history is cut: after each of its actions, or in a quick tier after one of so many.

Half of the time of the pure rooms' tests goes into histories that are told again and again, cut after another action or
with another request refused each time. The tier `histories` tells them all. Others set FAILOVERD_QUICK to a number:
each test then takes one cut of so many, from a first one that its own name decides: the cuts are the same from run to
run and on every machine, and tests over one history do not all have the same ones. Random histories are fewer then by
the same factor, and always the same.
"""

from __future__ import annotations

import os
import zlib

QUICK = int(os.environ.get("FAILOVERD_QUICK") or 1)
"""One cut of so many."""
SHARE = 8


def cuts(*limits: int) -> range:
    """As `range`: the numbers of the actions to cut after, or of the requests to refuse."""
    return range(*limits) if QUICK == 1 else _one_of(QUICK, range(*limits))


def share(*limits: int) -> range:
    """One cut of SHARE, always, or of more in a quicker tier: for a variant of a history that is told in full."""
    return _one_of(max(SHARE, QUICK), range(*limits))


def examples(most: int) -> int:
    """How many random histories to tell, of so many in the whole test."""
    return -(-most // QUICK)


def _one_of(step: int, every: range) -> range:
    """From a first cut of the test that runs: never beyond the last, so that no test is left without any."""
    test = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)")
    return every[zlib.crc32(test.encode()) % max(1, min(step, len(every))) :: step]
