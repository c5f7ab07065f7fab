"""Each call, from its bytes to the bytes of its answer."""

from __future__ import annotations

import struct

import pytest
from libvirtclient import OPEN, call, error_of, number, text

from failoverd.libvirt import calls
from failoverd.libvirt.calls import PROCEDURES, Knowledge, Session, answer, read
from failoverd.libvirt.documents import Documents
from failoverd.libvirt.errors import LibvirtError
from failoverd.libvirt.messages import BadMessageError, Inbox
from failoverd.libvirt.rows import MOST, Rows

ETH0, ETH1, TUN = ("eth0", "52:54:00:00:00:01"), ("eth1", "52:54:00:00:00:01"), ("tun0", "")
ROWS = Rows(
    5,
    [
        ["eth0", True, "52:54:00:00:00:01"],
        ["eth1", False, "52:54:00:00:00:01"],
        ["vf", True, "52:54:00:00:00:0a"],
        ["tun0", False, None],
        ["bad\udcff", True, "52:54:00:00:00:03"],
        ["\x1b[2J", True, "52:54:00:00:00:04"],
    ],
)
DOCUMENT = "<interface type='ethernet' name='é'/>\n".encode()


def opened() -> Session:
    session = Session()
    session.is_open = True
    return session


def asked(procedure: int, payload: bytes = b"", session: Session | None = None, rows: Rows = ROWS) -> bytes:
    """What one call is answered with."""
    session = session or opened()
    (message,) = Inbox().feed(call(procedure, payload))
    found, arguments = read(session, message)
    return answer(session, found, arguments, Knowledge(b"here", rows, DOCUMENT))


def refused(procedure: int, payload: bytes = b"", session: Session | None = None, rows: Rows = ROWS) -> tuple[int, str]:
    """The code and the text of a refusal."""
    with pytest.raises(LibvirtError) as caught:
        asked(procedure, payload, session, rows)
    code, domain, message = error_of(caught.value.packed())
    assert domain in (7, 26)
    return code, message


def interface(name: str, mac: str) -> bytes:
    return text(name) + text(mac)


def test_a_connection_is_opened_and_closed() -> None:
    session = Session()
    assert asked(66, b"", session) == number(1) + number(0)
    assert [asked(60, number(feature), session) for feature in (10, 1, 14, -1)] == [number(1), *[number(0)] * 3]
    for early in (2, 3, 59, 110, 126, 284):
        code, text_of = refused(early, b"", session)
        assert (code, "before the connection is open" in text_of) == (6, True)
    assert asked(1, OPEN, session) == b""
    assert session.is_open
    assert refused(1, OPEN, session)[1] == "connection already open"
    assert asked(2, b"", session) == b""
    assert not session.is_open


@pytest.mark.parametrize("name", ["interface:///system", "interface:///system?socket=/x", "interface:///", ""])
def test_what_is_opened(name: str) -> None:
    assert asked(1, number(1) + text(name) + number(1), Session()) == b""


def test_a_uri_that_the_client_has_to_ask_for() -> None:
    assert asked(1, number(0) + number(0), Session()) == b""
    assert asked(110) == text("interface:///system")


@pytest.mark.parametrize("name", ["qemu:///system", "interface:///session", "interface://host/system"])
def test_what_is_not_opened(name: str) -> None:
    code, said = refused(1, number(1) + text(name) + number(0), session := Session())
    assert (code, said) == (1, f"unexpected interface URI '{name}', try interface:///system")
    assert not session.is_open


def test_what_this_is() -> None:
    assert asked(3) == text("interface")
    assert asked(59) == text("here")
    assert asked(149) == number(1)
    assert asked(157) == struct.pack(">Q", 9_000_000)


def test_the_active_and_the_others() -> None:
    assert (asked(126), asked(137)) == (number(2), number(2))
    assert asked(127, number(MOST)) == number(2) + text("eth0") + text("vf")
    assert asked(127, number(1)) == number(1) + text("eth0")
    assert asked(138, number(MOST)) == number(2) + text("eth1") + text("tun0")
    assert asked(138, number(0)) == number(0)
    for most in (MOST + 1, -1):
        assert refused(127, number(most))[0] == 8


def test_all_at_once() -> None:
    eth0, eth1, vf = interface(*ETH0), interface(*ETH1), interface("vf", "52:54:00:00:00:0a")
    tun = interface(*TUN)
    assert asked(284, number(1) + number(2)) == number(2) + eth0 + vf + number(2)
    assert asked(284, number(1) + number(1)) == number(2) + eth1 + tun + number(2)
    for flags in (0, 3):
        assert asked(284, number(1) + number(flags)) == number(4) + eth0 + eth1 + vf + tun + number(4)
    assert asked(284, number(0) + number(0)) == number(0) + number(4)
    assert refused(284, number(1) + number(4)) == (8, "unsupported flags (0x4) in a list of interfaces")


def test_a_list_is_made_once() -> None:
    assert asked(284, number(1) + number(0)) is asked(284, number(1) + number(0))
    assert asked(127, number(9)) is asked(127, number(9))


def test_more_than_the_protocol_allows() -> None:
    rows = Rows(5, [[f"v{n}", True, ""] for n in range(MOST + 1)])
    code, said = refused(284, number(1) + number(0), rows=rows)
    assert (code, said) == (1, "too many interfaces: '16385' for limit '16384'")
    assert asked(284, number(0) + number(0), rows=rows) == number(0) + number(MOST + 1)
    assert asked(127, number(MOST), rows=rows)[:4] == number(MOST)


def test_one_by_its_name_and_by_its_mac() -> None:
    assert asked(128, text("eth1")) == interface(*ETH1)
    assert asked(129, text("52:54:00:00:00:0A")) == interface("vf", "52:54:00:00:00:0a")
    assert refused(128, text("eth9")) == (57, "Interface not found: couldn't find interface named 'eth9'")
    assert refused(128, text(b"bad\xff"))[0] == 57
    assert refused(129, text("52:54:00:00:00:99"))[0] == 57
    assert refused(129, text(""))[0] == 57
    code, said = refused(129, text("52:54:00:00:00:01"))
    assert (code, said.split(": ", 1)[1]) == (59, "2 have '52:54:00:00:00:01': eth0, eth1; use a name")
    many = Rows(5, [[f"v{n}", True, "02:00:00:00:00:01"] for n in range(9)])
    assert "v7, ...; use" in refused(129, text("02:00:00:00:00:01"), rows=many)[1]


def test_whether_it_is_active() -> None:
    assert asked(156, interface(*ETH0)) == number(1)
    assert asked(156, interface(*ETH1)) == number(0)
    assert asked(156, interface("eth0", "")) == number(1)
    assert refused(156, interface("gone", ""))[0] == 57


def test_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [asked(130, interface(*ETH0) + number(flags)) for flags in (0, 1)] == [text(DOCUMENT)] * 2
    assert refused(130, interface(*ETH0) + number(2))[0] == 8
    monkeypatch.setattr(calls, "LONGEST_XML", 9)
    assert refused(130, interface(*ETH0) + number(0)) == (
        1,
        f"the XML of eth0 has {len(DOCUMENT)} bytes, and the protocol allows 9",
    )


@pytest.mark.parametrize("procedure", [4, 7, 131, 132, 133, 134, 220, 221, 222, 51, 105, 167, 453, 100000, -1, 0])
def test_all_else_is_not_supported(procedure: int) -> None:
    """Also without a look at its payload, and before the connection is open."""
    for session in (opened(), Session()):
        code, said = refused(procedure, b"whatever", session)
        assert (code, said.split(": ")[0]) == (3, "this function is not supported by the connection driver")


def test_a_change_is_refused_in_libvirts_own_words() -> None:
    text_of = "this function is not supported by the connection driver: virInterfaceDefineXML"
    assert refused(131, text("<interface/>") + number(0)) == (3, text_of)


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_a_payload_that_is_not_the_calls(procedure: int) -> None:
    session = Session() if procedure == 1 else opened()
    for payload in (b"\xff" * 60, b"\0" * 59):
        code, said = refused(procedure, payload, session)
        assert (code, said.split(": ")[0]) == (39, f"Unable to decode message payload of {PROCEDURES[procedure].name}")


def test_another_program_is_not_here() -> None:
    for program in (0x20008087, 0x6B656570, 0):
        (message,) = Inbox().feed(call(1, program=program))
        with pytest.raises(LibvirtError, match=f"Cannot find program {program} version 1"):
            read(opened(), message)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, -1])
def test_what_is_no_call_ends_the_connection(kind: int) -> None:
    (message,) = Inbox().feed(call(126, kind=kind))
    with pytest.raises(BadMessageError):
        read(opened(), message)


def test_documents_are_found_by_the_names_in_them() -> None:
    texts = [
        f"<interface type='ethernet' name='{name}'>\n  <mac address='x'/>\n</interface>\n"
        for name in ("eth0", "a&amp;b", "&lt;x&apos;&gt;", "é")
    ]
    documents = Documents(3, texts)
    assert [documents.of(name) for name in ("eth0", "a&b", "<x'>", "é")] == [one.encode() for one in texts]
    assert documents.of("a&amp;b") is None
    assert documents.of("") is None
