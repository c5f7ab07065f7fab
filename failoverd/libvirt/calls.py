"""The calls that are answered, one row each; all others are not supported, as those that would change something.

The numbers are those of enum remote_procedure, the answers those of the structs of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from failoverd.dataclass import dataclass
from failoverd.libvirt.errors import (
    FROM_RPC,
    INTERNAL_ERROR,
    INVALID_ARG,
    INVALID_CONN,
    NO_SUPPORT,
    RPC,
    LibvirtError,
)
from failoverd.libvirt.messages import CALL, OK, REMOTE, REMOTE_VERSION, BadMessageError, Message
from failoverd.libvirt.rows import Row, Rows
from failoverd.libvirt.xdr import HYPER, INT, UINT, BadPayloadError, Reader, packed

NAMES = ("interface:///system", "interface:///")
"""The connections that are opened. The client says what its user has said; with "" it asks for the URI afterwards."""
URI = b"interface:///system"
LIB_VERSION = 9_000_000
"""The release of libvirt whose answers these are: 9.0.0. Nothing that a later one added is answered."""
LONGEST_XML = 4 << 20
"""VIR_NET_MESSAGE_STRING_MAX: clients refuse a longer string."""
AUTH_NONE = 0
FEATURE_KEEPALIVE = 10
"""VIR_DRV_FEATURE_PROGRAM_KEEPALIVE: this end answers pings."""
XML_INACTIVE = 1
"""VIR_INTERFACE_XML_INACTIVE asks for the configuration. There is none here, and so the live document is returned, as
by libvirt's udev backend."""


class Knowledge:
    """What answers are made of. `document` is the XML of the interface that a call names, if the call needs it."""

    __slots__ = ("document", "hostname", "rows")

    def __init__(self, hostname: bytes, rows: Rows, document: bytes = b"") -> None:
        self.hostname, self.rows, self.document = hostname, rows, document


Arguments = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Procedure:
    """A call that is answered."""

    name: str
    takes: tuple[Callable[[Reader], Any], ...]
    """How its arguments are read."""

    answer: Callable[[Arguments, Knowledge], bytes]
    """Makes the payload of the answer. Raises LibvirtError."""

    needs_rows: bool = False
    needs_document: bool = False
    """Whether it is about the XML of the interface that its first argument names."""

    before_open: bool = False
    """Whether it is answered on a connection that is not open yet."""


class Session:
    """What is known of one connection."""

    __slots__ = ("is_open",)

    def __init__(self) -> None:
        self.is_open = False


def read(session: Session, message: Message) -> tuple[Procedure, Arguments]:
    """Return what a message asks for, with its arguments. Raises LibvirtError, and BadMessageError if the connection
    has to end."""
    if message.type != CALL or message.status != OK:
        raise BadMessageError(f"type {message.type} and status {message.status} are no call's")
    if (message.program, message.version) != (REMOTE, REMOTE_VERSION):
        text = f"Cannot find program {message.program} version {message.version}"
        raise LibvirtError(RPC, text, FROM_RPC)
    procedure = PROCEDURES.get(message.procedure)
    if procedure is None:
        name = UNSUPPORTED.get(message.procedure, f"procedure {message.procedure}")
        raise LibvirtError(NO_SUPPORT, f"this function is not supported by the connection driver: {name}")
    if not (session.is_open or procedure.before_open):
        raise LibvirtError(INVALID_CONN, "invalid connection pointer in a call before the connection is open")
    if session.is_open and procedure is OPEN:
        raise LibvirtError(INTERNAL_ERROR, "connection already open")
    reader = Reader(message.payload)
    try:
        arguments = tuple(one(reader) for one in procedure.takes)
        reader.end()
    except BadPayloadError as error:
        text = f"Unable to decode message payload of {procedure.name}: {error}"
        raise LibvirtError(RPC, text, FROM_RPC) from error
    return procedure, arguments


def answer(session: Session, procedure: Procedure, arguments: Arguments, known: Knowledge) -> bytes:
    """Return the payload of the answer to a call that was read. Raises LibvirtError."""
    payload = procedure.answer(arguments, known)
    if procedure is OPEN or procedure is CLOSE:  # `in` would compare field by field, which takes as long as an answer
        session.is_open = procedure is OPEN
    return payload


def _open(arguments: Arguments, _known: Knowledge) -> bytes:
    name, _flags = arguments
    if name and name.partition("?")[0] not in NAMES:
        raise LibvirtError(INTERNAL_ERROR, f"unexpected interface URI '{name}', try {URI.decode()}")
    return b""


def _xml(arguments: Arguments, known: Knowledge) -> bytes:
    name, _mac, flags = arguments
    if flags & ~XML_INACTIVE:
        raise LibvirtError(INVALID_ARG, f"unsupported flags (0x{flags:x}) in InterfaceGetXMLDesc")
    if len(known.document) > LONGEST_XML:
        text = f"the XML of {name} has {len(known.document)} bytes, and the protocol allows {LONGEST_XML}"
        raise LibvirtError(INTERNAL_ERROR, text)
    return packed(known.document)


def _row(row: Row) -> bytes:
    return row.packed()


STRING, NULLABLE, SIGNED, UNSIGNED = Reader.string, Reader.optional_string, Reader.signed, Reader.unsigned
INTERFACE = (STRING, STRING)
"""Name and MAC. libvirt's drivers look at the name alone, and so do these."""

OPEN = Procedure("ConnectOpen", (NULLABLE, UNSIGNED), _open, before_open=True)
CLOSE = Procedure("ConnectClose", (), lambda _, _known: b"")

PROCEDURES: Mapping[int, Procedure] = {
    1: OPEN,
    2: CLOSE,
    3: Procedure("ConnectGetType", (), lambda _, _known: packed(b"interface")),
    59: Procedure("ConnectGetHostname", (), lambda _, known: packed(known.hostname)),
    60: Procedure(
        "ConnectSupportsFeature",
        (SIGNED,),
        lambda arguments, _known: INT.pack(arguments[0] == FEATURE_KEEPALIVE),
        before_open=True,
    ),
    66: Procedure("AuthList", (), lambda _, _known: UINT.pack(1) + UINT.pack(AUTH_NONE), before_open=True),
    110: Procedure("ConnectGetURI", (), lambda _, _known: packed(URI)),
    126: Procedure("ConnectNumOfInterfaces", (), lambda _, known: known.rows.number(is_active=True), needs_rows=True),
    127: Procedure(
        "ConnectListInterfaces",
        (SIGNED,),
        lambda arguments, known: known.rows.names(True, arguments[0]),
        needs_rows=True,
    ),
    128: Procedure(
        "InterfaceLookupByName",
        (STRING,),
        lambda arguments, known: _row(known.rows.named(arguments[0])),
        needs_rows=True,
    ),
    129: Procedure(
        "InterfaceLookupByMACString",
        (STRING,),
        lambda arguments, known: _row(known.rows.with_mac(arguments[0])),
        needs_rows=True,
    ),
    130: Procedure("InterfaceGetXMLDesc", (*INTERFACE, UNSIGNED), _xml, needs_rows=True, needs_document=True),
    137: Procedure(
        "ConnectNumOfDefinedInterfaces", (), lambda _, known: known.rows.number(is_active=False), needs_rows=True
    ),
    138: Procedure(
        "ConnectListDefinedInterfaces",
        (SIGNED,),
        lambda arguments, known: known.rows.names(False, arguments[0]),
        needs_rows=True,
    ),
    149: Procedure("ConnectIsSecure", (), lambda _, _known: INT.pack(1)),
    156: Procedure(
        "InterfaceIsActive",
        INTERFACE,
        lambda arguments, known: INT.pack(known.rows.named(arguments[0]).is_active),
        needs_rows=True,
    ),
    157: Procedure("ConnectGetLibVersion", (), lambda _, _known: HYPER.pack(LIB_VERSION)),
    284: Procedure(
        "ConnectListAllInterfaces",
        (SIGNED, UNSIGNED),
        lambda arguments, known: known.rows.all(bool(arguments[0]), arguments[1]),
        needs_rows=True,
    ),
}
"""By their numbers."""

UNSUPPORTED: Mapping[int, str] = {
    4: "virConnectGetVersion",
    7: "virConnectGetCapabilities",
    131: "virInterfaceDefineXML",
    132: "virInterfaceUndefine",
    133: "virInterfaceCreate",
    134: "virInterfaceDestroy",
    220: "virInterfaceChangeBegin",
    221: "virInterfaceChangeCommit",
    222: "virInterfaceChangeRollback",
}
"""Calls that a user of interfaces may make and that are refused, under the names that libvirt's messages have."""
