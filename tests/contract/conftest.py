"""Each contract test runs twice: on the simulated kernel and, in a private network namespace, on the real one.

Where the running kernel lacks a kind of device a test needs, the real half of that test is not selected, and the
run's head says so: tests/vm runs it in a guest, whose kernel has them all. With FAILOVERD_REQUIRE_REAL=1, as there,
nothing is left out, and what cannot be made fails with the reason.
"""

from __future__ import annotations

import functools
import os
import platform

import pytest
import worlds
from realkernel import NoNamespaceError
from worlds import Real, Simulated, World


def pytest_configure(config: pytest.Config) -> None:
    """The marker of this folder."""
    config.addinivalue_line("markers", "needs(*kinds): kinds of device the real kernel must be able to make")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this kernel cannot show."""
    if os.environ.get("FAILOVERD_REQUIRE_REAL"):
        return
    left = [item for item in items if _on_real_kernel(item) and any(_lacks(kind) for kind in _needed(item))]
    items[:] = [item for item in items if item not in left]
    if left:
        config.hook.pytest_deselected(items=left)
        kinds = sorted({kind for item in left for kind in _needed(item) if _lacks(kind)})
        print(f"\nthis kernel has no {', '.join(kinds)}: {len(left)} contract tests are left to the guest's")


def _on_real_kernel(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("world") == "real"


def _needed(item: pytest.Item) -> tuple[str, ...]:
    """Kinds of device a test makes; every one makes veths, in a network namespace of its own."""
    marker = item.get_closest_marker("needs")
    return ("veth", *(marker.args if marker else ()))


@pytest.fixture(params=["sim", "real"])
def world(request: pytest.FixtureRequest) -> World:
    """A kernel that nobody else uses."""
    if request.param == "sim":
        return Simulated()
    for kind in _needed(request.node):
        if reason := _lacks(kind):
            pytest.fail(f"FAILOVERD_REQUIRE_REAL is set, but {reason}")
    major, minor = platform.release().split(".")[:2]
    return Real((int(major), int("".join(c for c in minor if c.isdigit()))))


@functools.cache
def _lacks(kind: str) -> str:
    try:
        return worlds.lacks(kind)
    except NoNamespaceError as error:
        return f"no network namespace of our own: {error}"
