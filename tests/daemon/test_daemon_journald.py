"""Structured entries, received by a socket that stands where journald's does."""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signals import BACK, JOINED, LOST, MAC, MOMENT, NO_MAC, PENDING, READY, RELEASED, RENAMED

from failoverd.core.signal_facts import sentence, told
from failoverd.core.signal_table import SIGNALS
from failoverd.daemon.journald import BURST, DROPPED, SOCKET, WINDOW, Journald, encode, find
from failoverd.model.signals import Joined

CATALOG = Path(__file__).parents[2] / "units" / "failoverd.catalog"
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "journal.md"


def decode(data: bytes) -> dict[str, bytes]:
    """The fields of a datagram, read as systemd's JOURNAL_NATIVE_PROTOCOL.md describes it."""
    fields: dict[str, bytes] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, end, data = rest[8 : 8 + length], rest[8 + length : 9 + length], rest[9 + length :]
            assert end == b"\n"
        else:
            data = rest
        assert name.decode() not in fields
        fields[name.decode()] = value
    return fields


@contextmanager
def journal(where: Path) -> Iterator[socket.socket]:
    """The journal's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(where / "socket"))
        sock.setblocking(False)
        yield sock


def entries(sock: socket.socket) -> list[dict[str, bytes]]:
    found = []
    while True:
        try:
            found.append(decode(sock.recv(1 << 20)))
        except BlockingIOError:
            return found


def test_a_failover_is_one_entry_with_everything_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with journal(tmp_path) as sock, caplog.at_level(logging.INFO, "failoverd"):
        Journald(tmp_path / "socket").signalled(LOST, MOMENT)
        assert entries(sock) == [
            {
                "MESSAGE": sentence(LOST).encode(),
                "MESSAGE_ID": b"4618d75a3eef42019599644ce75903af",
                "PRIORITY": b"5",
                "SYSLOG_IDENTIFIER": b"failoverd",
                "FAILOVERD_EVENT": b"failed-over",
                "FAILOVERD_MASTER": b"ens3",
                "FAILOVERD_MAC": MAC.encode(),
                "FAILOVERD_FROM": b"ens4",
                "FAILOVERD_FROM_IFINDEX": b"3",
                "FAILOVERD_TO": b"ens3nsby",
                "FAILOVERD_TO_IFINDEX": b"2",
                "FAILOVERD_TO_ROLE": b"standby",
                "FAILOVERD_REASON": b"it was unplugged",
                "FAILOVERD_SILENCE_SECONDS": b"0.003100",
                "FAILOVERD_TIME": b"1700000000.250000",
                "FAILOVERD_MONOTONIC": b"12.500000",
            }
        ]
    assert caplog.messages == [], "once is enough"


def test_each_kind_has_its_id_and_how_grave_it_is(tmp_path: Path) -> None:
    with journal(tmp_path) as sock:
        receiver = Journald(tmp_path / "socket")
        for signal in (LOST, BACK, NO_MAC, RENAMED, JOINED, RELEASED):
            receiver.signalled(signal, MOMENT)
        found = [(one["FAILOVERD_EVENT"].decode(), one["PRIORITY"]) for one in entries(sock)]
    events = ["failed-over", "failed-over", "failed-over", "link-renamed", "joined", "released"]
    assert found == list(zip(events, [b"5", b"5", b"4", b"6", b"6", b"6"], strict=True))


def test_the_bytes_of_a_name_arrive_unharmed_and_the_message_stays_text(tmp_path: Path) -> None:
    raw = b"e\xff\n=\x1b[31m"
    with journal(tmp_path) as sock:
        Journald(tmp_path / "socket").signalled(Joined(raw.decode("utf-8", "surrogateescape"), MAC), MOMENT)
        (found,) = entries(sock)
    assert found["FAILOVERD_MASTER"] == raw
    assert found["MESSAGE"].decode().isprintable()


@given(st.dictionaries(st.sampled_from(["A", "B_C", "D1"]), st.binary(max_size=20)))
def test_whatever_is_encoded_is_read_back(fields: dict[str, bytes]) -> None:
    texts = {name: value.decode("utf-8", "surrogateescape") for name, value in fields.items()}
    assert decode(encode(texts)) == fields


def test_a_reason_of_any_length_fits(tmp_path: Path) -> None:
    with journal(tmp_path) as sock:
        Journald(tmp_path / "socket").signalled(Joined("x" * 1_000_000, MAC), MOMENT)
        (found,) = entries(sock)
    assert len(found["FAILOVERD_MASTER"]) == 4096


@pytest.mark.parametrize("left", [False, True])
def test_without_a_journal_it_is_the_same_sentence_on_stderr(
    tmp_path: Path, left: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """There never was one; or its socket was left by one that is gone."""
    if left:
        with journal(tmp_path):
            pass
    with caplog.at_level(logging.INFO, "failoverd"):
        Journald(tmp_path / "socket").signalled(LOST, MOMENT)
        Journald(None).signalled(NO_MAC, MOMENT)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", sentence(LOST)),
        ("WARNING", sentence(NO_MAC)),
    ]


def test_a_journal_that_does_not_read_is_not_waited_for_and_told_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    count = 5000
    with journal(tmp_path) as sock, caplog.at_level(logging.INFO, "failoverd"):
        receiver = Journald(tmp_path / "socket")
        for number in range(count):
            receiver.signalled(LOST, MOMENT._replace(monotonic=number * WINDOW))
        dropped = receiver.dropped
        assert 0 < dropped < count
        receiver.stepped({})
        assert receiver.dropped == dropped, "there is no room to say it yet"
        assert len(entries(sock)) == count - dropped
        receiver.stepped({})
        (found,) = entries(sock)
        assert (found["MESSAGE_ID"], found["FAILOVERD_DROPPED"]) == (DROPPED.encode(), str(dropped).encode())
        receiver.stepped({})
        assert entries(sock) == []
    assert caplog.messages == []


def test_what_comes_faster_than_anybody_reads_is_only_counted(tmp_path: Path) -> None:
    with journal(tmp_path) as sock:
        receiver = Journald(tmp_path / "socket")
        now = time.monotonic()
        seen = 0
        for number in range(BURST + 50):
            receiver.signalled(LOST, MOMENT._replace(monotonic=now + number / 1000))
            seen += len(entries(sock))
        assert seen == BURST
        receiver.stepped({})
        assert entries(sock) == []
        receiver.signalled(LOST, MOMENT._replace(monotonic=now + WINDOW))
        last, left_out = entries(sock)
        assert (last["MESSAGE"], left_out["FAILOVERD_DROPPED"]) == (sentence(LOST).encode(), b"50")


def test_many_links_keep_no_failover_out(tmp_path: Path) -> None:
    with journal(tmp_path) as sock:
        receiver = Journald(tmp_path / "socket")
        now = time.monotonic()
        for number in range(BURST + 5):
            receiver.signalled(READY, MOMENT._replace(monotonic=now + number / 1000))
            entries(sock)
        assert receiver.dropped == 5
        receiver.signalled(LOST, MOMENT._replace(monotonic=now + 0.5))
        (found,) = entries(sock)
        assert found["MESSAGE"] == sentence(LOST).encode(), "and what was dropped is told when its window is over"


def test_a_link_in_the_journal(tmp_path: Path) -> None:
    with journal(tmp_path) as sock:
        receiver = Journald(tmp_path / "socket")
        receiver.signalled(PENDING, MOMENT)
        (found,) = entries(sock)
    assert found["MESSAGE_ID"] == told(PENDING).message_id.encode()
    assert (found["PRIORITY"], found["FAILOVERD_LINK"]) == (b"6", b"web-ct")
    assert found["FAILOVERD_REASON"] == b"container-absent"
    assert "FAILOVERD_MAC" not in found


def test_the_journal_is_there_where_stderr_goes_to_it(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as file:
        found = os.fstat(file.fileno())
        mine = f"{found.st_dev}:{found.st_ino}"
        assert find({"JOURNAL_STREAM": mine}, file.fileno()) == SOCKET
        for other in (f"{found.st_dev}:{found.st_ino + 1}", "", ":", "x:y", mine + ":", "9" * 5000):
            assert find({"JOURNAL_STREAM": other}, file.fileno()) is None
        assert find({}, file.fileno()) is None


def test_every_message_id_is_in_the_catalog_and_in_the_reference() -> None:
    explained = {line[3:] for line in CATALOG.read_text().splitlines() if line.startswith("-- ")}
    assert explained == {*(kind.message_id for kind in SIGNALS.values()), DROPPED}
    reference = REFERENCE.read_text()
    assert [one for one in explained if one not in reference] == []
