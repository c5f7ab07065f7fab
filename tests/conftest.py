"""What holds for every test."""

from __future__ import annotations

import contextlib
import gc
import os
import runpy
import zlib
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# A deadline for each example measures the machine, not the code. A run that decides has the same examples every time,
# and so has the quick tier; all others look for new ones.
QUICK = int(os.environ.get("FAILOVERD_QUICK") or 1)
DECIDES = bool(os.environ.get("FAILOVERD_REQUIRE_ALL")) or QUICK > 1
EXAMPLES = 20 if QUICK > 8 else 100
PART = 8
AS_LONG = ("test_core_health.py", "test_core_bystanders.py", "test_config_bounds.py")
hypothesis.settings.register_profile("failoverd", deadline=None, derandomize=DECIDES, max_examples=EXAMPLES)
hypothesis.settings.load_profile("failoverd")

LONGEST = ("test_dbus_load.py", "test_golden.py")
"""Minutes in all. They come first: begun as the last, they keep one worker while the other is idle."""

# No test is ever on this machine's own system bus; those that want one make their own.
os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent/bus"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest tests first; all else stays as it was. After each change one in PART tests of histories will
    do, the same each time: they are most of the pure rooms' time."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if QUICK > 8:
        left = [item for item in items if _is_history(item) and zlib.crc32(item.nodeid.encode()) % PART]
        config.hook.pytest_deselected(items=left)
        kept = set(items) - set(left)
        items[:] = [item for item in items if item in kept]


def _is_history(item: pytest.Item) -> bool:
    """Whether its file has histories that are cut (everycut.py), or takes as long."""
    if item.path.name in AS_LONG:
        return True
    module = getattr(item, "module", None)
    return any(getattr(value, "__module__", "") == "everycut" for value in vars(module).values()) if module else False


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """A test closes what it opens and waits for what it starts, and so does the code it tests."""
    files, children = _open_files(), _children()
    yield
    if _open_files() == files and _children() == children:
        return
    gc.collect()
    left = {number: what for number, what in _open_files().items() if files.get(number) != what}
    assert not left, f"files left open: {left}"
    assert _children() <= children, "child processes left behind"


def _open_files() -> dict[str, str]:
    """Number and target of each, but for the one that lists them, which is gone by the time it is looked at."""
    found = {}
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):
            found[entry.name] = str(entry.readlink())
    return found


def _children() -> set[str]:
    found: set[str] = set()
    for task in list(Path("/proc/self/task").iterdir()):
        with contextlib.suppress(FileNotFoundError):
            found |= set((task / "children").read_text().split())
    return found


@pytest.fixture(scope="session")
def namespaces_are_to_be_had() -> None:
    """For what is told in the lab's network namespaces; the tier that needs them finds out in the same way."""
    if why := runpy.run_path(str(Path(__file__).parents[1] / "tools" / "tiers.py"))["namespace_needs"]():
        pytest.skip(why)
