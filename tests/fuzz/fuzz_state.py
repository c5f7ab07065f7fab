"""What is found below /run and /var/lib at a start, in the place of each file: any bytes, and what is no file.

The first byte says which place, the second what kind of thing is there. A start takes what it can and says of the rest
what it is, in one line; only a configuration it cannot use is refused. What was taken can be kept again, and read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzzing import LARGEST, SCRATCH, Harness, bent, is_one_line

from failoverd.cli.historyfile import HistoryError, read
from failoverd.config.spec import Config
from failoverd.core.inputs import Recalled
from failoverd.core.state import State
from failoverd.core.step import step
from failoverd.daemon.history import append
from failoverd.daemon.journal import dumps, dumps_inet, loads, loads_inet
from failoverd.daemon.last_good_config import LastGoodConfig
from failoverd.daemon.movefile import dumps as dumps_record
from failoverd.daemon.movefile import loads as read_text
from failoverd.daemon.movefile import read_record, said
from failoverd.daemon.store import DiskStore
from failoverd.kinds import Bond, Vlan
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Address, Hop, Label, Neighbour, Route
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.text import printable
from failoverd.moves.items import Item, Nic, Record, Toward

ROOM = tempfile.TemporaryDirectory(prefix="failoverd-fuzz-", dir=SCRATCH)
HERE = Path(ROOM.name, "of-one")
MAC, FLAT = "52:54:00:aa:bb:cc", "525400aabbcc"
PLACES = (
    f"run/moves/{FLAT}.json",
    f"run/lost/{FLAT}.json",
    f"run/drains/{FLAT}",
    f"run/udev/{MAC}",
    f"state/pairs/{FLAT}",
    f"state/pairs/{FLAT}.name",
    "state/accepted.json",
    "state/history",
    "run/moves",
    "state/pairs",
    f"run/away/{FLAT}.json",
)
MAIN = Path(ROOM.name, "failoverd.toml")


def a_socket(path: Path) -> None:
    """One that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def a_device(path: Path) -> None:
    """/dev/zero's like, where we may make one."""
    with contextlib.suppress(PermissionError):
        os.mknod(path, 0o20600, os.makedev(1, 5))


ODD: tuple[Callable[[Path], object], ...] = (
    Path.mkdir,
    os.mkfifo,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("nothing"),
    lambda path: path.symlink_to(path),
    a_socket,
    a_device,
)
BENT, PLAIN = 0x40, 0x80
"""Kinds below the first number are files of these bytes, below the second files with other values in them."""


def one(data: bytes) -> None:
    """See the module."""
    shutil.rmtree(HERE, ignore_errors=True)
    place, kind = data[:1] or b"\0", data[1:2] or b"\0"
    path = HERE / PLACES[place[0] % len(PLACES)]
    path.parent.mkdir(parents=True)
    if kind[0] < BENT:
        path.write_bytes(data[2:])
    elif kind[0] < PLAIN:
        path.write_bytes(_with_other_values(FILES[place[0] % len(FILES)], data[2:]))
    else:
        ODD[kind[0] % len(ODD)](path)
    _start()
    _history(HERE / "state" / "history")


def _with_other_values(content: bytes, data: bytes) -> bytes:
    try:
        return json.dumps(bent(json.loads(content), data)).encode()
    except ValueError:
        return data


def _start() -> None:
    store = DiskStore(HERE / "run", HERE / "state")
    kept = store.load()
    assert all(is_one_line(printable(line)) and len(line) < 1000 for line in kept.troubles)
    for journal in kept.journals.values():
        assert loads(dumps(journal)) == journal
    for lost in kept.lost.values():
        assert loads_inet(dumps_inet(lost)) == lost
    if kept.away:
        record = read_record(HERE / PLACES[-1])
        assert kept.away == {MAC: said(MAC, record)}
        assert read_text(dumps_record(record)) == record
    again = store.load()
    assert again.troubles == [], "what is damaged is set aside once"
    assert (again.journals, again.lost, again.drains) == (kept.journals, kept.lost, kept.drains)
    recalled = Recalled(kept.journals, kept.lost, kept.drains, dict(kept.memory), kept.names, kept.marked)
    step(State(Config()), recalled, 0.0)
    store.save_journal(JOURNAL)
    store.remember(MAC, "joined")
    store.remember_name(MAC, "ens3")
    store.keep_marks(MAC, {MAC: "A=1\n"})
    assert store.load().journals[MAC] == JOURNAL
    config = LastGoodConfig(HERE / "state" / "accepted.json", MAIN).last()
    assert config is None or isinstance(config, Config)


def _history(path: Path) -> None:
    """As failoverctl reads it, and the daemon writes on."""
    with contextlib.suppress(HistoryError):
        read(str(path))
    append(path, b'{"event":"started","time":1.0,"monotonic":1.0}\n')
    assert read(str(path))[-1]["event"] == "started"


JOURNAL = Journal(
    MAC,
    Goal.JOINED,
    "ens3",
    True,
    1500,
    ("enp1s0",),
    Inet(
        (Address(2, 2, 24, 0, 128, b"\x0a\0\0\1", ((1, b"\x0a\0\0\1"), (2, b"\x0a\0\0\1"))),),
        (Route(2, 2, 0, 0, 0, 254, 3, 0, 1, 0, ((5, b"\x0a\0\0\2"),), (Hop(2, 0, 0, ()),), None),),
        (Neighbour(2, 2, 128, 0, 1, ((1, b"\x0a\0\0\2"),)),),
        (Label(2, bytes(16), 64, 5),),
        (("group", "1"), ("alias", "x")),
    ),
    Inet(),
    True,
    5,
)


RECORD = Record(
    MAC,
    NamespaceRef("name", "web"),
    Toward.AWAY,
    (
        Item("ens3", Bond(mode=1), MAC, 1500, True, inet=JOURNAL.inet),
        Item("v5", Vlan(5), MAC, 1500, False, lower="ens3"),
    ),
    (Nic("virtio0", "ens3nsby", ("ens3",), True, (("ipv6/accept_ra", "0"),)),),
)

EVENT = {"event": "failed-over", "time": 1.5, "monotonic": 2.5, "master": "ens3", "mac": MAC, "from": "a", "boot": "x"}
FILES = (
    dumps(JOURNAL).encode(),
    dumps_inet(JOURNAL.inet).encode(),
    b'{"vf": 3, "until": 5.0}\n',
    b"FAILOVERD_ROLE=primary\n",
    b"joined\n",
    b"ens3\n",
    json.dumps({"main": str(MAIN), "documents": [[str(MAIN), "[join]\nretry = 2\n"]]}).encode(),
    json.dumps(EVENT).encode() + b"\n" + json.dumps(EVENT | {"silence_seconds": 0.5}).encode() + b"\n",
    b"x",
    b"x",
    dumps_record(RECORD).encode(),
)
"""What failoverd writes to each of PLACES."""


def seeds() -> list[bytes]:
    """Each file as failoverd writes it, with another value, and each odd thing."""
    whole = [bytes([number, 0]) + content for number, content in enumerate(FILES)]
    other = [bytes([number, BENT, at, at * 3]) for number in (0, 1, 2, 6, 7, 10) for at in (3, 9)]
    return [*whole, *other, *(bytes([place, PLAIN + kind]) for kind in range(len(ODD)) for place in range(len(PLACES)))]


WORDS = (
    b"Infinity",
    b"NaN",
    b"1e999",
    b"9" * 400,
    b"9" * 5000,
    b"null",
    b"[]",
    b"{}",
    b'"',
    b"true",
    b"-1",
    b"\\ud800",
    b"[" * 2000,
)

HARNESS = Harness("state", one, seeds, WORDS, LARGEST)
