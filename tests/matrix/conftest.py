"""The matrix leans on what the tests of single guests have; and a walk is one guest's, so one worker's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vm"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadscope`, what shares a walk goes to the same worker.

    pytest-xdist's own marks for groups (loadgroup) have no effect under pytest 9.2.
    """
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Walks(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            before, bracket, words = nodeid.partition("[")
            walk = words.rpartition("-")[0].removesuffix("-hot")
            return f"{before}{bracket}{walk}" if walk else nodeid

    return Walks(config, log)
