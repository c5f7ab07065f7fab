"""Lines of the control socket, up to the engine: refused with words, or carried out.

What a client gets is one line of JSON in any case, and what is logged is one line. The state is a machine with a
joined pair; what a call has the engine do is done, as root might have said it. An input that begins with a NUL is
words, from which a well-formed line is made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from fuzzing import Harness

from failoverd.config.spec import Config
from failoverd.core.call_answers import Answer, CallError
from failoverd.core.calls import CALLS
from failoverd.core.matching import rejudge
from failoverd.core.state import State
from failoverd.core.step import step
from failoverd.daemon import control
from failoverd.inventory.questions import QUESTIONS
from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.policy.naming import mark

MAC = "52:54:00:aa:bb:cc"
LATER = "52:54:00:aa:bb:dd"
LINKS = (
    Link(2, "ens3nsby", MAC, MAC, master=9, bus="virtio", driver="virtio_net", slave_kind="bond"),
    Link(3, "ens4", MAC, MAC, master=9, bus="pci", driver="mlx5_core", slave_kind="bond"),
    Link(9, "ens3", MAC, kind="bond", info=Bond(mode=1), altnames=frozenset({mark(MAC), "enp1s0"})),
    Link(5, "ens7", LATER, LATER, bus="virtio", driver="virtio_net"),
    Link(6, "a\udcff\u202e\n\x1b[2J", "02:00:00:00:00:06", "02:00:00:00:00:06", bus="usb"),
)


def machine() -> State:
    """A joined pair, a NIC that is alone, and a NIC with a name that no sane person would give."""
    up = tuple(replace(link, up=True, carrier=True) for link in LINKS)
    state = State(Config(), links=LinkTable(up), synced=True)
    rejudge(state)
    return state


def one(data: bytes) -> None:
    """See the module."""
    if data[:1] == b"\0":
        call, *rest = (word.decode(errors="surrogateescape") for word in data[1:].split(b"\0"))
        data = json.dumps({"call": call, "arguments": rest}).encode()
    try:
        call, arguments = control._parse(data)
        document = {"ok": carried_out(call, arguments)}
    except CallError as error:
        document = {"error": {"text": str(error), "kind": error.kind}}
    raw = json.dumps(document).encode()
    assert b"\n" not in raw
    assert json.loads(raw) == document


def carried_out(call: str, arguments: Sequence[str]) -> object:
    """The document, with what follows from the call done, too. Raises CallError.

    A question about the inventory is one to the kernel: its line is read here, and no more.
    """
    if call in QUESTIONS:
        return {}
    state = machine()
    answer = CALLS[call].run(state, arguments, 0.0)
    assert isinstance(answer, Answer)
    for event in answer.events:
        step(state, event, 1.0)
    answer.done(state)
    return answer.document


def seeds() -> list[bytes]:
    """One of each call."""
    calls = (
        ("status",),
        ("explain",),
        ("explain", "ens4"),
        ("release", "ens3"),
        ("adopt", MAC),
        ("drain", "ens3", "60"),
        ("undrain", "ens3"),
        ("switch", "ens3", "ens4"),
        ("switch", "9", "2"),
        ("rename", "ens4", "lan0"),
        ("reload",),
        ("interfaces", "table", "all"),
        ("interface-xml", "ens3", "ens4"),
        ("explain", "a\udcff\u202e\n\x1b[2J"),
    )
    lines = [json.dumps({"call": call, "arguments": rest}).encode() + b"\n" for call, *rest in calls]
    return lines + [b"".join(b"\0" + word.encode(errors="surrogateescape") for word in call) for call in calls]


WORDS = (
    tuple(f'"{call}"'.encode() for call in CALLS)
    + tuple(f"\0{call}\0".encode() for call in CALLS)
    + (b"\0ens3\0", b"\x009\0", b"[", b"{", b"null", b"1e999", b"NaN", b'"inf"', b'"\\ud800"', b'"ens3"')
)

HARNESS = Harness("control", one, seeds, WORDS, control.LINE + 1)
