"""What a reference is about, from its text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from failoverd.model.declared import NamespaceRef
from failoverd.netns.processes import AbsentError, start_time
from failoverd.netns.references import file_of, path_of, pid_of


@pytest.mark.parametrize(
    ("by", "value", "path", "pid", "is_file"),
    [
        ("name", "red", "/run/netns/red", 0, True),
        ("name", "a b\udcff", "/run/netns/a b\udcff", 0, True),
        ("pid", "4711", "/proc/4711/ns/net", 4711, False),
        ("path", "/proc/4711/ns/net", "/proc/4711/ns/net", 4711, False),
        ("path", "/proc/4711/task/4712/ns/net", "/proc/4711/task/4712/ns/net", 4711, False),
        ("path", "/proc/self/ns/net", "/proc/self/ns/net", 0, True),
        ("path", "/var/run/x", "/var/run/x", 0, True),
    ],
)
def test_references_that_are_right(by: str, value: str, path: str, pid: int, is_file: bool) -> None:
    reference = NamespaceRef(by, value)
    assert path_of(reference) == Path(path)
    assert pid_of(reference) == pid
    assert file_of(reference) == (Path(path) if is_file else None)


@pytest.mark.parametrize(
    ("by", "value", "reason"),
    [
        ("name", "../red", "namespace-absent"),
        ("name", ".", "namespace-absent"),
        ("name", "..", "namespace-absent"),
        ("name", "a" * 256, "namespace-absent"),
        ("name", "ä" * 128, "namespace-absent"),
        ("pid", "0", "process-gone"),
        ("pid", "self", "process-gone"),
        ("pid", "../1", "process-gone"),
        ("path", "run/netns/red", "namespace-absent"),
    ],
)
def test_references_that_cannot_be(by: str, value: str, reason: str) -> None:
    reference = NamespaceRef(by, value)
    with pytest.raises(AbsentError) as caught:
        path_of(reference)
    assert caught.value.absent.reason == reason
    assert pid_of(reference) == 0
    assert file_of(reference) is None


def test_a_start_time_is_behind_any_name() -> None:
    """A process may be called what it likes."""
    fields = b" ".join(b"%d" % number for number in range(4, 53))
    assert start_time(b"4711 (a) S 1) S " + fields) == 22
    for text in (b"", b"4711 (x", b"4711 (x) S 1 2"):
        with pytest.raises((ValueError, LookupError)):
            start_time(text)
