"""Whether another user may read what root can, by the modes of files."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from failoverd.config.readable import unreadable

NO_MAC = "nobody"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "failoverd.toml.d").mkdir()
    for name in ("failoverd.toml", "failoverd.toml.d/10.toml", "failoverd.toml.d/.hidden.toml"):
        (tmp_path / name).touch(0o644)
    for path in (tmp_path, tmp_path / "failoverd.toml.d"):
        path.chmod(0o755)
    return tmp_path / "failoverd.toml"


def files(main: Path, user: str = NO_MAC) -> list[str]:
    return [os.path.relpath(problem.file, main.parent) for problem in unreadable(main, user)]


def test_what_everybody_may_read(main: Path) -> None:
    (main.parent / "failoverd.toml.d" / ".hidden.toml").chmod(0)
    assert files(main) == []
    assert files(main.with_name("none.toml")) == []


@pytest.mark.parametrize(
    ("name", "mode", "text"),
    [
        ("failoverd.toml", 0o600, "the service may not read it, as the user nobody; chmod a+r it"),
        ("failoverd.toml.d/10.toml", 0o640, "the service may not read it, as the user nobody; chmod a+r it"),
        ("failoverd.toml.d", 0o700, "the service may not read it, as the user nobody; chmod a+rx it"),
        ("failoverd.toml.d", 0o754, "the service may not read it, as the user nobody; chmod a+rx it"),
        (".", 0o750, "the service may not read it, as the user nobody; chmod a+rx it"),
    ],
)
def test_what_is_for_its_owner_alone(main: Path, name: str, mode: int, text: str) -> None:
    (main.parent / name).chmod(mode)
    (problem,) = unreadable(main, NO_MAC)
    assert (problem.file, problem.line, problem.text) == (str(main.parent / name), 0, text)


def test_its_owner_and_its_group_are_asked_by_their_own_bits(main: Path) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    main.chmod(0o400)
    assert files(main, me) == []
    main.chmod(0o044)
    assert files(main, me) == ["failoverd.toml"]


def test_without_such_a_user_there_is_no_service(main: Path) -> None:
    main.chmod(0o600)
    assert files(main, "no-such-user") == []
