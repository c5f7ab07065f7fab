"""The history on disk: what is written, how it stays bounded, and what a bad disk does to it."""

from __future__ import annotations

import errno
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from signals import LOST, MOMENT

from failoverd.cli.historyfile import read
from failoverd.core.signal_facts import facts
from failoverd.daemon.disk_writer import WAITING, DiskWriter
from failoverd.daemon.history import History, append, boot_id

LINE = b'{"event":"x","time":1,"monotonic":1}\n'


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_life(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    old = os.umask(0o077)
    try:
        history = History(path)
        history.started()
        history.signalled(LOST, MOMENT)
        history.stopped("SIGTERM")
    finally:
        os.umask(old)
    first, second, third = lines(path)
    assert first["event"] == "started"
    known = {key: fact for key, fact in facts(LOST, MOMENT).items() if fact is not None}
    assert second == known | {"boot": boot_id()}
    assert (third["event"], third["reason"]) == ("stopped", "SIGTERM")
    assert len(boot_id()) == 32
    assert path.stat().st_mode & 0o777 == 0o644


def test_it_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for _ in range(2):
        history = History(tmp_path / "history")
        history.started()
        history.stopped("SIGTERM")
    assert [line["event"] for line in lines(tmp_path / "history")] == ["started", "stopped"] * 2


def test_it_stays_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "history"
    for number in range(1000):
        append(path, b'{"event":"x","time":%d,"monotonic":1}\n' % number, limit=4096)
        assert path.stat().st_size <= 4096
    kept = [int(event["time"]) for event in read(str(path))]
    assert kept == list(range(kept[0], 1000))
    assert len(kept) > 50
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["history"]


def test_events_of_links_do_not_push_those_of_masters_out(tmp_path: Path) -> None:
    path = tmp_path / "history"
    for number in range(20):
        append(path, b'{"event":"x","master":"ens3","time":%d,"monotonic":1}\n' % number, limit=4096)
    for number in range(20, 1000):
        append(path, b'{"event":"y","link":"web","time":%d,"monotonic":1}\n' % number, limit=4096)
        assert path.stat().st_size <= 4096
    events = read(str(path))
    masters = [int(event["time"]) for event in events if event["event"] == "x"]
    assert masters == list(range(masters[0], 20))
    assert len(masters) > 15
    links = [int(event["time"]) for event in events if event["event"] == "y"]
    assert links == list(range(links[0], 1000))
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    for number in range(1000, 2000):
        append(path, b'{"event":"x","master":"ens3","time":%d,"monotonic":1}\n' % number, limit=4096)
    events = read(str(path))
    assert len([event for event in events if event["event"] == "x"]) > 15
    assert 0 < [event["event"] for event in events].count("y") < 25


@pytest.mark.parametrize("junk", [b"x" * 10_000, b"\n" * 10_000, b"x" * 4000, LINE * 300 + b"cut"])
def test_whatever_the_file_holds_it_is_bounded_and_the_new_line_is_whole(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "history"
    path.write_bytes(junk)
    append(path, LINE, limit=4096)
    assert path.stat().st_size <= 4096
    assert path.read_bytes().splitlines()[-1] + b"\n" == LINE


def test_a_line_after_a_cut_one_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(LINE + LINE[:20])
    append(path, LINE)
    assert path.read_bytes() == LINE + LINE[:20] + b"\n" + LINE


def test_a_full_disk_is_a_complaint_and_the_next_line_is_whole(tmp_path: Path) -> None:
    """A file that may not grow (RLIMIT_FSIZE; Python ignores SIGXFSZ) cuts a write as a full disk does."""
    path = tmp_path / "history"
    append(path, LINE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINE) + 10, hard))
    try:
        with pytest.raises(OSError, match="history") as caught:
            append(path, LINE)
        assert caught.value.errno == errno.ENOSPC
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    append(path, LINE)
    assert path.read_bytes() == LINE + LINE[:10] + b"\n" + LINE


def test_a_place_that_cannot_be_written_is_said_with_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    history = History(tmp_path / "state" / "history")
    history.started()
    wait(lambda: history._disk_writer._queue.empty() and history._trouble is not None)
    with pytest.raises(FileExistsError, match="state"):
        history.stepped({})
    history.stepped({})
    history.stopped("SIGTERM")


def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    """A work that waits is such a disk: its writer waits as it would for a frozen filesystem."""
    disk_writer, going, go = DiskWriter(), Event(), Event()

    def wait_for_the_disk() -> None:
        going.set()
        go.wait()

    disk_writer.do(wait_for_the_disk, lambda _error: None)
    going.wait()
    history = History(tmp_path / "history", disk_writer)
    before = time.monotonic()
    for _ in range(WAITING):
        history.signalled(LOST, MOMENT)
    history._add({})
    with pytest.raises(OSError, match="the disk does not take them"):
        history.stepped({})
    history.stopped("SIGTERM")
    assert 0.9 < time.monotonic() - before < 10

    go.set()
    wait(history._disk_writer._queue.empty)
    history.stopped("SIGTERM")
    assert not history._disk_writer._thread.is_alive(), "it goes on when the disk answers"


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
