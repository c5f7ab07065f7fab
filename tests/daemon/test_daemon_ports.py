"""What the engine is told of the kernel."""

from __future__ import annotations

import pytest

from failoverd.daemon.ports import can_rename_live


@pytest.mark.parametrize(
    ("release", "can"),
    [
        ("6.1.0-18-amd64", False),
        ("6.2.0", True),
        ("6.12.30+deb13-amd64", True),
        ("7.0-rc1", True),
        ("5.14.0-427.el9.x86_64", False),
        ("a name", False),
    ],
)
def test_renames_of_what_is_up_came_with_6_2(release: str, can: bool) -> None:
    assert can_rename_live(release) is can
