"""What is in the place of a file that failoverd keeps, and is not what failoverd has put there."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from daemonprocess import Daemon

from failoverd.cli import client
from failoverd.cli.historyfile import HistoryError, read
from failoverd.core.ordercalls import LONGEST_DRAIN
from failoverd.daemon import control
from failoverd.daemon.files import put, set_aside
from failoverd.daemon.history import append
from failoverd.daemon.journal import dumps
from failoverd.daemon.kept import LARGEST, LARGEST_JOURNAL
from failoverd.daemon.paths import Paths
from failoverd.daemon.store import DiskStore
from failoverd.model.health import Damping
from failoverd.model.orders import Drain
from failoverd.model.pairs import Goal, Inet, Journal

MAC, FLAT = "52:54:00:aa:bb:cc", "525400aabbcc"
JOURNAL = Journal(MAC, Goal.JOINED, "ens3", True, 1500, cut=True)
Make = Callable[[Path], object]


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


ODD: dict[str, Make] = {
    "a directory": Path.mkdir,
    "a full directory": lambda path: (path / "x").mkdir(parents=True),
    "a FIFO": os.mkfifo,
    "a link to what never ends": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a socket": a_socket,
}
NO_FILE = pytest.mark.parametrize("make", ODD.values(), ids=ODD)


def made(path: Path, make: Make) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    return path


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "run", tmp_path / "state")


@pytest.mark.parametrize(
    "place", [f"run/moves/{FLAT}.json", f"state/pairs/{FLAT}", f"run/drains/{FLAT}", f"run/damping/{FLAT}"]
)
@NO_FILE
def test_only_files_are_read_and_what_is_none_is_set_aside(
    tmp_path: Path, store: DiskStore, place: str, make: Make
) -> None:
    path = made(tmp_path / place, make)
    kept = store.load()
    assert (kept.journals, kept.memory, kept.drains, kept.damping) == ({}, {}, {}, {})
    (trouble,) = kept.troubles
    assert trouble.startswith(f"{path}: it is ")
    assert trouble.endswith(f"; set aside as {path.name}.bad; nothing is taken from it")
    assert [found.name for found in path.parent.iterdir()] == [f"{path.name}.bad"]
    assert store.load().troubles == []
    store.save_journal(JOURNAL)
    store.save_drain(MAC, Drain(3, 5.0))
    store.remember(MAC, "joined")
    kept = store.load()
    assert (kept.journals, kept.memory) == ({MAC: JOURNAL}, {MAC: "joined"})
    assert kept.drains == {MAC: Drain(3, 5.0)}


@pytest.mark.parametrize("place", ["run/moves", "state/pairs", "run/drains", "run/damping", "run/udev"])
@pytest.mark.parametrize(
    "make", [Path.touch, *(ODD[kind] for kind in ("a FIFO", "a link to nothing", "a link to itself", "a socket"))]
)
def test_a_directory_that_is_none_is_set_aside(tmp_path: Path, store: DiskStore, place: str, make: Make) -> None:
    path = made(tmp_path / place, make)
    (trouble,) = store.load().troubles
    assert trouble.startswith(f"{path}: it ")
    assert f"set aside as {path.name}.bad" in trouble
    store.save_journal(JOURNAL)
    store.keep_marks(MAC, {MAC: "A=1\n"})
    kept = store.load()
    assert (kept.journals, kept.marked, kept.troubles) == ({MAC: JOURNAL}, {MAC}, [])


def test_a_look_that_changes_nothing_sets_nothing_aside(tmp_path: Path) -> None:
    path = made(tmp_path / "run" / "drains" / FLAT, os.mkfifo)
    (trouble,) = DiskStore(tmp_path / "run", tmp_path / "state", set_aside=False).load().troubles
    assert trouble == f"{path}: it is a FIFO, not a regular file; nothing is taken from it"
    assert path.is_fifo()


DRAINS: dict[str, list[str]] = {
    "vf": ["0", "-1", "true", '"12"', "Infinity", "NaN", "1e999", "9" * 400, "2147483648", "3.0", "null", "[]"],
    "until": [
        "Infinity",
        "-Infinity",
        "NaN",
        "1e999",
        "9" * 400,
        "-1",
        "true",
        '"5"',
        "[]",
        f"{2 * LONGEST_DRAIN + 1e9}",
    ],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in DRAINS.items() for value in values])
def test_a_number_in_a_drain_that_cannot_be_is_no_drain(tmp_path: Path, store: DiskStore, key: str, value: str) -> None:
    path = tmp_path / "run" / "drains" / FLAT
    path.parent.mkdir(parents=True)
    text = {"vf": "3", "until": "5", key: value}
    path.write_text(f'{{"vf": {text["vf"]}, "until": {text["until"]}}}')
    kept = store.load()
    assert kept.drains == {}
    (trouble,) = kept.troubles
    assert trouble.startswith(f"{path}: not a drain: ")
    assert len(trouble) < 400
    assert path.with_name(f"{FLAT}.bad").exists()


def test_the_longest_drain_is_one(store: DiskStore) -> None:
    longest = Drain(0x7FFFFFFF, time.monotonic() + LONGEST_DRAIN)
    store.save_drain(MAC, longest)
    assert store.load().drains == {MAC: longest}


DAMPINGS: dict[str, list[str]] = {
    "penalty": ["Infinity", "NaN", "-1", "true", '"5"', "[]", "9" * 400],
    "at": ["Infinity", "NaN", "-1", "1e12", "null"],
    "suppressed": ["0", "null", '"true"', "[]"],
    "vf": ["-1", "2147483648", "null"],
    "losses": ["-1", "4294967296", "NaN"],
    "dead": ["-1", "2147483648", "true"],
    "missed_since": ["-1", "1e12", "null"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in DAMPINGS.items() for value in values])
def test_a_number_in_a_damping_that_cannot_be_is_none(tmp_path: Path, store: DiskStore, key: str, value: str) -> None:
    path = tmp_path / "run" / "damping" / FLAT
    path.parent.mkdir(parents=True)
    text = {
        "penalty": "1000.0",
        "at": "0.5",
        "suppressed": "true",
        "vf": "3",
        "losses": "7",
        "dead": "2",
        "missed_since": "0.25",
    }
    path.write_text("{" + ", ".join(f'"{name}": {one}' for name, one in text.items()) + "}")
    assert store.load().damping == {MAC: Damping(1000.0, 0.5, True, 3, 7, 2, 0.25)}
    path.write_text("{" + ", ".join(f'"{name}": {one}' for name, one in (text | {key: value}).items()) + "}")
    kept = store.load()
    assert kept.damping == {}
    (trouble,) = kept.troubles
    assert trouble.startswith(f"{path}: not what flaps have come to: ")
    assert len(trouble) < 400


@pytest.mark.parametrize("text", ["[]", "{}", '{"penalty": 1}', "7"])
def test_what_is_no_damping_is_set_aside(tmp_path: Path, store: DiskStore, text: str) -> None:
    path = tmp_path / "run" / "damping" / FLAT
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert (store.load().damping, path.with_name(f"{FLAT}.bad").exists()) == ({}, True)


JOURNALS: dict[str, list[object]] = {
    "mac": ["../../x", "a\0b", "", "52:54:00:00:00:09", 7, None],
    "name": ["", "x" * 16, 7, None],
    "up": ["no", 1, None],
    "mtu": [-1, 1 << 32, 1500.5, "1500", True],
    "altnames": ["abc", [""], ["x" * 128], [7], None],
    "cut": ["yes", 0],
    "nic": [-5, 1 << 31, 1e308, "5", True],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in JOURNALS.items() for value in values])
def test_what_cannot_be_in_a_journal(tmp_path: Path, store: DiskStore, key: str, value: object) -> None:
    path = tmp_path / "run" / "moves" / f"{FLAT}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(json.loads(dumps(JOURNAL)) | {key: value}))
    kept = store.load()
    assert kept.journals == {}
    assert len(kept.troubles) == 1
    assert path.with_name(f"{path.name}.bad").exists()


def test_a_file_is_read_up_to_a_size(tmp_path: Path, store: DiskStore) -> None:
    """A sparse file costs a disk nothing, and whoever reads it everything."""
    for place, limit in ((f"run/drains/{FLAT}", LARGEST), (f"run/moves/{FLAT}.json", LARGEST_JOURNAL)):
        path = made(tmp_path / place, Path.touch)
        os.truncate(path, 1 << 40)
        (trouble,) = store.load().troubles
        assert f"{path}: it is larger than {limit} bytes" in trouble


def test_a_journal_that_could_not_be_read_back_is_not_written(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("failoverd.daemon.store.LARGEST_JOURNAL", 100)
    with pytest.raises(OSError, match="100 are read back"):
        store.save_journal(JOURNAL)


def test_nothing_is_replaced_by_what_is_set_aside(tmp_path: Path) -> None:
    names = []
    for text in ("first", "second", "third"):
        (tmp_path / "x").write_text(text)
        names.append(set_aside(tmp_path / "x"))
    assert names == ["x.bad", "x.bad-2", "x.bad-3"]
    assert [(tmp_path / name).read_text() for name in names] == ["first", "second", "third"]
    for number in range(4, 101):
        (tmp_path / f"x.bad-{number}").touch()
    (tmp_path / "x").write_text("one too many")
    assert set_aside(tmp_path / "x") == ""
    assert (tmp_path / "x").read_text() == "one too many"
    assert set_aside(tmp_path / "not there") == ""


def test_a_directory_in_the_place_of_a_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "x" / "inside").mkdir(parents=True)
    put(tmp_path / "x", b"whole")
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert (tmp_path / "x.bad" / "inside").is_dir()


def test_marks_are_written_in_the_place_of_a_directory_and_it_stays_aside(tmp_path: Path, store: DiskStore) -> None:
    (tmp_path / "run" / "udev" / MAC).mkdir(parents=True)
    store.keep_marks(MAC, {MAC: "A=1\n"})
    store.keep_marks(MAC, {})
    assert [path.name for path in (tmp_path / "run" / "udev").iterdir()] == [f"{MAC}.bad"]
    assert store.load().marked == set()


def test_a_directory_where_no_mark_is_wanted_is_in_nobodys_way(tmp_path: Path, store: DiskStore) -> None:
    (tmp_path / "run" / "udev" / MAC).mkdir(parents=True)
    assert store.load().marked == {MAC}
    store.keep_marks(MAC, {})
    assert store.load().marked == set()


@NO_FILE
def test_the_history_goes_on_beside_what_was_in_its_place(tmp_path: Path, make: Make) -> None:
    path = made(tmp_path / "history", make)
    append(path, b"{}\n")
    assert path.read_bytes() == b"{}\n"
    assert os.path.lexists(tmp_path / "history.bad")


@pytest.mark.parametrize("kind", ["a directory", "a FIFO", "a link to what never ends", "a socket"])
def test_a_history_that_is_no_file_is_said_to_be_none(tmp_path: Path, kind: str) -> None:
    path = made(tmp_path / "history", ODD[kind])
    with pytest.raises(HistoryError, match=r"it is a .*, not a regular file"):
        read(str(path))


@NO_FILE
def test_the_lock_and_the_control_socket_get_their_places(tmp_path: Path, make: Make) -> None:
    run = tmp_path / "run"
    made(run / "lock", make)
    Paths(run, tmp_path / "state").lock().close()
    assert (run / "lock").is_file()
    assert os.path.lexists(run / "lock.bad")
    made(run / "control", make)

    async def listen() -> None:
        control.listen(run / "control").socket.close()

    trio.run(listen)
    assert (run / "control").is_socket()


DAMAGE = {
    f"run/moves/{FLAT}.json": ODD["a FIFO"],
    "run/moves/525400000001.json": ODD["a link to what never ends"],
    f"run/drains/{FLAT}": ODD["a FIFO"],
    "run/drains/525400000001": lambda path: path.write_text('{"vf": Infinity, "until": 5}'),
    "run/drains/525400000002": lambda path: path.write_text('{"vf": 1, "until": NaN}'),
    f"state/pairs/{FLAT}": ODD["a FIFO"],
    "state/pairs/525400000001": ODD["a link to what never ends"],
    "state/accepted.json": ODD["a FIFO"],
    "state/history": ODD["a FIFO"],
    "run/control": ODD["a full directory"],
    "run/metrics.prom": ODD["a full directory"],
    "run/udev": Path.touch,
}


def test_a_start_among_ruins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon with all of it at once is ready, answers, keeps its records and ends when it is told to."""
    for place, make in DAMAGE.items():
        made(tmp_path / place, make)
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "run" / "control"))
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        assert client.call("status")["masters"] == []
        daemon.until((tmp_path / "run" / "metrics.prom").is_file, "metrics")
        daemon.until((tmp_path / "state" / "accepted.json").is_file, "copy of the configuration")
        assert daemon.end() == 0
    assert [event["event"] for event in read(str(tmp_path / "state" / "history"))] == ["started", "stopped"]
    aside = {place for place in DAMAGE if os.path.lexists(tmp_path / f"{place}.bad")}
    assert aside == DAMAGE.keys() - {"state/accepted.json"}, "a FIFO in the copy's place is replaced: nothing is in it"
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        assert daemon.text().count("set aside") == 9, "once each, and not at the next start"
        assert daemon.end() == 0


def test_journals_that_were_never_ours_do_not_reach_the_state(store: DiskStore, tmp_path: Path) -> None:
    store.save_journal(Journal(MAC, Goal.RELEASED, "ens3", True, 1500, ("a" * 127,), Inet(), Inet(), True, 5))
    assert store.load().journals[MAC].altnames == ("a" * 127,)
