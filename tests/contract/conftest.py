"""Each contract test runs twice: on the simulated kernel and, in a private network namespace, on the real one.

Where the real kernel cannot be had, or lacks a kind of device a test needs, the test is skipped with the reason, or
with FAILOVERD_REQUIRE_REAL=1 fails with it.
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


@pytest.fixture(params=["sim", "real"])
def world(request: pytest.FixtureRequest) -> World:
    """A kernel that nobody else uses."""
    if request.param == "sim":
        return Simulated()
    marker = request.node.get_closest_marker("needs")
    for kind in marker.args if marker else ():
        if reason := _lacks(kind):
            _cannot(reason)
    major, minor = platform.release().split(".")[:2]
    return Real((int(major), int("".join(c for c in minor if c.isdigit()))))


@functools.cache
def _lacks(kind: str) -> str:
    try:
        return worlds.lacks(kind)
    except NoNamespaceError as error:
        return f"no network namespace of our own: {error}"


def _cannot(reason: str) -> None:
    if os.environ.get("FAILOVERD_REQUIRE_REAL"):
        pytest.fail(f"FAILOVERD_REQUIRE_REAL is set, but {reason}")
    pytest.skip(reason)
