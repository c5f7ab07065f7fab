from __future__ import annotations

import errno
import os
import re
import resource
from pathlib import Path
from threading import Event

import pytest

from failoverd.daemon.disk_writer import WAITING, DiskWriter
from failoverd.daemon.history import append
from failoverd.daemon.journal import dumps
from failoverd.daemon.keeping import JournalNotKeptError, MarksNotKeptError, keep
from failoverd.daemon.paths import Paths
from failoverd.daemon.store import DiskStore, MemoryStore, Store
from failoverd.model.actions import DropJournal, KeepDrain, KeepMarks, Remember, RememberName, SaveJournal
from failoverd.model.health import Damping
from failoverd.model.inet import Label
from failoverd.model.orders import Drain
from failoverd.model.owners import PairOf
from failoverd.model.pairs import Goal, Inet, Journal

MAC = "52:54:00:aa:bb:cc"
JOURNAL = Journal(MAC, Goal.JOINED, "ens3", True, 1500, cut=True)
FLAPPED = Damping(6800.5, 17.5, True, 3, 9)
LOST = Inet(labels=(Label(9, bytes(16), 32, 99),))


@pytest.fixture
def disk(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "run", tmp_path / "state")


def files(where: Path) -> list[str]:
    return sorted(str(path.relative_to(where)) for path in where.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_what_is_kept_is_found(tmp_path: Path, kind: str) -> None:
    memory = MemoryStore()

    def again() -> Store:
        return memory if kind == "memory" else DiskStore(tmp_path / "run", tmp_path / "state")

    store = again()
    store.save_journal(JOURNAL)
    store.remember(MAC, "joined")
    store.remember("52:54:00:00:00:01", "released")
    store.keep_lost(MAC, LOST)
    store.save_drain(MAC, Drain(3, 17.5))
    store.save_drain("52:54:00:00:00:01", Drain(4, None))
    store.save_damping(MAC, FLAPPED)
    kept = again().load()
    assert kept.drains == {MAC: Drain(3, 17.5), "52:54:00:00:00:01": Drain(4, None)}
    assert kept.damping == {MAC: FLAPPED}
    assert kept.journals == {MAC: JOURNAL}
    assert kept.lost == {MAC: LOST}
    assert kept.memory == {MAC: "joined", "52:54:00:00:00:01": "released"}
    assert kept.troubles == []
    store.drop_journal(MAC)
    store.drop_journal(MAC)
    store.keep_lost(MAC, Inet())
    store.keep_lost(MAC, Inet())
    store.remember(MAC, None)
    store.remember(MAC, None)
    store.save_drain(MAC, None)
    store.save_drain(MAC, None)
    store.save_damping(MAC, Damping())
    store.save_damping(MAC, Damping())
    kept = again().load()
    assert list(kept.drains) == ["52:54:00:00:00:01"]
    assert kept.damping == {}
    assert (kept.journals, kept.lost, kept.memory) == ({}, {}, {"52:54:00:00:00:01": "released"})


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_the_name_of_a_nic_is_kept_beside_its_pair(tmp_path: Path, kind: str) -> None:
    memory = MemoryStore()

    def again() -> Store:
        return memory if kind == "memory" else DiskStore(tmp_path / "run", tmp_path / "state")

    keep(again(), Remember(MAC, "joined"))
    keep(again(), RememberName(MAC, "eth0"))
    assert (again().load().memory, again().load().names) == ({MAC: "joined"}, {MAC: "eth0"})
    assert again().load().troubles == []
    keep(again(), RememberName(MAC, ""))
    assert not again().load().names.get(MAC)
    assert again().load().memory == {MAC: "joined"}


def test_an_older_failoverd_finds_what_it_knows(disk: DiskStore, tmp_path: Path) -> None:
    """It reads the files that are called by a MAC and nothing else, and wants one word in them."""
    disk.remember(MAC, "joined")
    disk.remember_name(MAC, "eth0")
    assert files(tmp_path) == ["state/pairs/525400aabbcc", "state/pairs/525400aabbcc.name"]
    assert (tmp_path / "state/pairs/525400aabbcc").read_text() == "joined\n"


def test_nothing_is_written_before_there_is_something_to_write(disk: DiskStore, tmp_path: Path) -> None:
    disk.load()
    disk.drop_journal(MAC)
    disk.remember(MAC, None)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_replaced_as_a_whole(disk: DiskStore, tmp_path: Path) -> None:
    disk.save_journal(JOURNAL)
    disk.save_journal(Journal(MAC, Goal.RELEASED, "ens3", True, 1500))
    assert files(tmp_path) == ["run/moves/525400aabbcc.json"]
    assert disk.load().journals[MAC].toward is Goal.RELEASED


def test_a_journal_that_cannot_be_read_is_set_aside_once(disk: DiskStore, tmp_path: Path) -> None:
    disk.save_journal(JOURNAL)
    (tmp_path / "run/moves/525400aabbcc.json").write_bytes(b"\xff{")
    kept = disk.load()
    assert kept.journals == {}
    assert len(kept.troubles) == 1
    assert "set aside as 525400aabbcc.json.bad" in kept.troubles[0]
    assert files(tmp_path) == ["run/moves/525400aabbcc.json.bad"]
    assert disk.load().troubles == []


def test_a_look_that_changes_nothing(tmp_path: Path) -> None:
    moves = tmp_path / "run" / "moves"
    moves.mkdir(parents=True)
    (moves / "525400aabbcc.json").write_text("no journal")
    assert len(DiskStore(tmp_path / "run", tmp_path / "state", set_aside=False).load().troubles) == 1
    assert files(tmp_path) == ["run/moves/525400aabbcc.json"]


def test_what_others_put_there_is_passed_over(disk: DiskStore, tmp_path: Path) -> None:
    moves, pairs = tmp_path / "run" / "moves", tmp_path / "state" / "pairs"
    for where in (moves, pairs):
        where.mkdir(parents=True)
        (where / "README").write_text("x")
        (where / ".525400aabbcc.json.77").write_text("half")
    (moves / "525400aabbcc").write_text(dumps(JOURNAL))
    (pairs / "525400000001").write_text("perhaps")
    (pairs / "525400000002").mkdir()
    (pairs / "525400000003").write_bytes(b"joined\xff")
    kept = disk.load()
    assert (kept.journals, kept.memory) == ({}, {})
    assert len(kept.troubles) == 3
    perhaps, directory, bytes_ = kept.troubles
    assert "neither 'joined' nor 'released'; set aside as 525400000001.bad" in perhaps
    assert "it is a directory, not a regular file; set aside as 525400000002.bad" in directory
    assert "neither 'joined' nor 'released'" in bytes_
    assert disk.load().troubles == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(disk: DiskStore, tmp_path: Path) -> None:
    """A limit to the size of files ends a write in its middle, as a full disk does, whoever writes."""
    disk.save_journal(JOURNAL)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            disk.save_journal(Journal(MAC, Goal.RELEASED, "ens3", True, 1500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == ["run/moves/525400aabbcc.json"]
    assert disk.load().journals == {MAC: JOURNAL}


# Marks for udev


def test_marks_are_kept_as_they_are_and_no_others(disk: DiskStore, tmp_path: Path) -> None:
    other = "52:54:00:00:00:01"
    disk.keep_marks(other, {other: "A=1\n"})
    disk.keep_marks(MAC, {f"{MAC}-virtio0": "", MAC: "B=1\n"})
    assert (tmp_path / "run" / "udev" / MAC).read_text() == "B=1\n"
    assert disk.load().marked == {MAC, other}
    disk.keep_marks(MAC, {f"{MAC}-virtio1": "C=1\n"})
    assert files(tmp_path) == [f"run/udev/{other}", f"run/udev/{MAC}-virtio1"]
    disk.keep_marks(MAC, {})
    disk.keep_marks(other, {})
    assert (files(tmp_path), disk.load().marked) == ([], set())
    disk.keep_marks(MAC, {})


def test_the_file_of_a_vf_never_stands_without_those_that_keep_others_from_it(disk: DiskStore, tmp_path: Path) -> None:
    in_the_way = tmp_path / "run" / "udev" / f".{MAC}-virtio0.{os.getpid()}"
    in_the_way.mkdir(parents=True)
    with pytest.raises(MarksNotKeptError, match=re.escape("[Errno 21] Is a directory")) as caught:
        keep(disk, KeepMarks(MAC, {f"{MAC}-virtio0": "A=1\n", MAC: "B=1\n"}))
    assert caught.value.mac == MAC
    assert files(tmp_path) == []


def test_what_somebody_has_put_in_the_way_is_not_followed(disk: DiskStore, tmp_path: Path) -> None:
    """The directory is the service's, and root runs failoverd by hand."""
    victim = tmp_path / "shadow"
    victim.write_text("root:x")
    victim.chmod(0o600)
    planted = tmp_path / "run" / "udev" / f".{MAC}.{os.getpid()}"
    planted.parent.mkdir(parents=True)
    planted.symlink_to(victim)
    disk.keep_marks(MAC, {MAC: "A=1\n"})
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("root:x", 0o600)
    assert (tmp_path / "run" / "udev" / MAC).read_text() == "A=1\n"
    (tmp_path / "run" / "lock").symlink_to(victim)
    Paths(tmp_path / "run", tmp_path / "state").lock().close()
    assert (victim.read_text(), (tmp_path / "run" / "lock.bad").readlink()) == ("root:x", victim)


def test_what_others_put_beside_the_marks_is_no_mark(disk: DiskStore, tmp_path: Path) -> None:
    disk.keep_marks(MAC, {MAC: "A=1\n"})
    for name in ("README", f".{MAC}.77", "52-54-00-aa-bb-cc"):
        (tmp_path / "run" / "udev" / name).write_text("x")
    assert disk.load().marked == {MAC}


class FullStore(MemoryStore):
    """A disk without room."""

    def save_journal(self, journal: Journal) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def drop_journal(self, mac: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def remember(self, mac: str, what: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_journal_that_cannot_be_written_is_a_reason_to_stop() -> None:
    with pytest.raises(JournalNotKeptError, match="cannot write down what has to be moved: ") as caught:
        keep(FullStore(), SaveJournal(JOURNAL))
    assert caught.value.owner == PairOf(MAC)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EACCES, "give it to the user that failoverd runs as (chown)"),
        (errno.EPERM, "give it to the user that failoverd runs as (chown)"),
        (errno.EIO, "look at the disk"),
    ],
)
def test_what_cannot_be_written_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int, advice: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    store = MemoryStore()
    monkeypatch.setattr(store, "save_journal", refuse)
    monkeypatch.setattr(store, "remember", refuse)
    with pytest.raises(JournalNotKeptError, match=re.escape(f"{os.strerror(number)}; {advice}; it is tried again")):
        keep(store, SaveJournal(JOURNAL))
    keep(store, Remember(MAC, "joined"))
    assert caplog.messages[-1].endswith(f"{os.strerror(number)}; {advice}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_makes_belongs_to_whoever_has_the_directory(tmp_path: Path) -> None:
    """After a run by hand the service, which is another user, has to find its files its own."""
    for place in ("run", "state"):
        (tmp_path / place).mkdir()
        os.chown(tmp_path / place, 12345, 12346)
    store = DiskStore(tmp_path / "run", tmp_path / "state")
    keep(store, SaveJournal(JOURNAL))
    keep(store, Remember(MAC, "joined"))
    keep(store, KeepDrain(MAC, Drain(3, None)))
    keep(store, KeepMarks(MAC, {MAC: ""}))
    append(tmp_path / "state" / "history", b"{}\n")
    Paths(tmp_path / "run", tmp_path / "state").lock().close()
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.rglob("*")}
    assert owners == dict.fromkeys(owners, (12345, 12346))
    assert {"moves", "drains", "udev", "pairs", "history", "lock", MAC, "525400aabbcc.json"} <= owners.keys()


def test_what_cannot_be_remembered_is_told_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    keep(FullStore(), Remember(MAC, "joined"))
    keep(FullStore(), DropJournal(MAC))
    first, second = caplog.messages
    assert first.startswith(f"{MAC}: cannot remember the pair for the next start: ")
    assert second.startswith(f"{MAC}: cannot remove the journal of a finished move for the next start: ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"vf": 3}', '{"vf": "x", "until": null}', '{"vf": 3, "until": "x"}'])
def test_what_is_no_drain_is_set_aside(disk: DiskStore, tmp_path: Path, text: str) -> None:
    path = tmp_path / "run" / "drains" / "525400aabbcc"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    kept = disk.load()
    assert kept.drains == {}
    assert len(kept.troubles) == 1
    assert kept.troubles[0].startswith(f"{path}: ")
    assert kept.troubles[0].endswith("set aside as 525400aabbcc.bad; nothing is taken from it")


def test_a_drain_that_cannot_be_kept_is_no_reason_to_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("not a directory")
    keep(DiskStore(tmp_path / "run", tmp_path / "state"), KeepDrain(MAC, Drain(3, None)))
    assert "cannot note whether it is drained" in caplog.text


def test_who_remembers_waits_for_no_disk_and_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    """A work that waits stands for a frozen disk."""
    place = tmp_path / "state" / "pairs" / "525400aabbcc"
    place.parent.mkdir(parents=True)
    place.write_text("joined\n")
    number = place.stat().st_ino
    disk_writer, going, go = DiskWriter(), Event(), Event()

    def wait() -> None:
        going.set()
        go.wait()

    disk_writer.do(wait, lambda _error: None)
    going.wait()
    store = DiskStore(tmp_path / "run", tmp_path / "state", disk_writer=disk_writer)
    keep(store, Remember(MAC, "joined"))
    keep(store, Remember("52:54:00:00:00:01", "released"))
    assert not place.with_name("525400000001").exists()
    go.set()
    disk_writer.end()
    assert place.stat().st_ino == number, "it was read, found to be the same, and left"
    assert place.with_name("525400000001").read_text() == "released\n"


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_breaks_in_the_thread_costs_that_one_work_alone(caplog: pytest.LogCaptureFixture) -> None:
    def broken(text: str) -> None:
        raise ValueError(text)

    def full() -> None:
        raise OSError(errno.ENOSPC, "no room")

    disk_writer, done = DiskWriter(), Event()
    disk_writer.do(lambda: broken("the work"), lambda _error: None)
    disk_writer.do(full, lambda _error: broken("the complaint"))
    disk_writer.do(done.set, lambda _error: None)
    disk_writer.end()
    assert done.is_set()
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["the work", "the complaint"]


def test_a_disk_that_takes_nothing_for_long_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("not a directory")
    disk_writer = DiskWriter()
    going, go = Event(), Event()

    def wait() -> None:
        going.set()
        go.wait()

    assert disk_writer.do(wait, lambda _error: None)
    going.wait()
    store = DiskStore(tmp_path / "run", tmp_path / "state", disk_writer=disk_writer)
    for _ in range(WAITING + 1):
        keep(store, Remember(MAC, "joined"))
    (message,) = caplog.messages
    assert message.startswith(f"{MAC}: cannot remember the pair for the next start: [Errno 16] the disk does not take")
    go.set()
    disk_writer.end()
    assert len(caplog.messages) == WAITING + 1
    assert "Not a directory" in caplog.messages[-1]
