"""Import pyroute2's codec without the rest of pyroute2.

Importing any part of pyroute2 runs its package's `__init__`, which imports all of it: sockets, a database, asyncio. The
codec needs none of that. Alone it costs a third of the time and half of the memory, and a boot waits for failoverd. So
an empty package stands in for the real one during the import; afterwards the stand-in is gone, and a program that
imports pyroute2 gets all of it. Rejected: a codec of failoverd's own (a thousand attributes, and their meaning in each
kernel).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType


@contextmanager
def alone() -> Iterator[None]:
    """Let parts of pyroute2 be imported without the whole while this context is open.

    Does nothing where the whole package is imported already, or is not installed.
    """
    spec = find_spec("pyroute2") if "pyroute2" not in sys.modules else None
    if spec is None or spec.submodule_search_locations is None:
        yield
        return
    empty = ModuleType("pyroute2")
    empty.__spec__, empty.__path__ = spec, list(spec.submodule_search_locations)
    sys.modules["pyroute2"] = empty
    try:
        yield
    finally:
        if sys.modules.get("pyroute2") is empty:
            del sys.modules["pyroute2"]
