"""Turn the status document and signals into D-Bus objects and messages, with the names and types of their rows.

Names come from the kernel, which lets a device name be any bytes; D-Bus takes UTF-8 only. Other bytes are replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

from dbus_next import Message, Variant

from failoverd.bus.interfaces import Objects, Values
from failoverd.bus.tree import PROPERTIES
from failoverd.core import document as tables
from failoverd.core.document import LAST_FAILOVER, Document
from failoverd.core.signal_facts import told
from failoverd.daemon.dbus.interfaces import INVENTORY, LINK, MANAGER, MASTER, NAME, ROOT, SLAVE, members
from failoverd.model.facts import Row, Table, Type, camel
from failoverd.model.signals import Moment, Signal

NOTHING = "/"
"""The path that stands for none."""

Asked = Mapping[str, Callable[[int], Any]]
"""By the key of a row that the daemon reads from the machine: the value for a slave, by its ifindex."""


def master_path(mac: str) -> str:
    """Return the object path of the pair with this MAC."""
    return f"{ROOT}/master/{mac.replace(':', '_')}"


def mac_of(path: str) -> str:
    """Return the MAC of the pair with this object path."""
    return path.rpartition("/")[2].replace("_", ":")


def slave_path(ifindex: int) -> str:
    """Return the object path of this slave, or of none."""
    return f"{ROOT}/slave/{ifindex}" if ifindex else NOTHING


def slave_of(path: str) -> str:
    """Return the ifindex of the slave with this object path, as text; "" if it is no slave's path."""
    prefix, _, number = path.rpartition("/")
    return number if prefix == f"{ROOT}/slave" and number.isascii() and number.isdigit() else ""


def link_path(name: str) -> str:
    """Return the object path of the link's end with this name, as sd_bus_path_encode(3) escapes it."""
    return f"{ROOT}/link/{''.join(map(_escaped, name, (True, *repeat(False, len(name) - 1))))}"


def _escaped(letter: str, is_first: bool) -> str:
    is_plain = letter.isascii() and (letter.isalpha() or (letter.isdigit() and not is_first))
    return letter if is_plain else "".join(f"_{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def words(raw: str) -> str:
    """Return the text as D-Bus can carry it."""
    if raw.isascii() and "\0" not in raw:
        return raw
    return raw.encode("utf-8", "replace").decode().replace("\0", "?")


def objects(document: Document, asked: Asked) -> Objects:
    """Return all objects for this status document."""
    root = {MANAGER.name: _values(MANAGERS, document, {}, asked), INVENTORY.name: {}}
    found: dict[str, dict[str, Values]] = {ROOT: root}
    for master in document["masters"]:
        found[master_path(master["mac"])] = {MASTER.name: _values(MASTERS, master, master, asked)}
        for slave in _slaves(master):
            found[slave_path(slave["ifindex"])] = {SLAVE.name: _values(SLAVES, slave, master, asked)}
    return found


def explained(rows: list[Document]) -> list[Any]:
    """Return the rows of the call "explain" in the shape of the method Explain's answer."""
    return [list(_values(NICS, row, {}, {}).values()) for row in rows]


def messages(signal: Signal, moment: Moment) -> Iterator[Message]:
    """Yield the D-Bus signals that tell clients of this event."""
    values = {row.key: row.value(signal) for row in told(signal).fields}
    paths = {"Manager": ROOT, "Slave": slave_path(values.get("ifindex") or 0)}
    if told(signal).subject == "master":
        paths["Master"] = master_path(values["master"][1])
    else:
        paths["Link"] = link_path(values["link"])
    for member, rows in members(told(signal)):
        if member.interface == "Slave" and values["role"] == "master":
            continue
        body = [_argument(row, values[row.key] if row.key in values else row.value(moment)) for row in rows]
        types = "".join(row.type.signature for row in rows)
        yield Message.new_signal(paths[member.interface], f"{NAME}.{member.interface}", member.name, types, body)
    if "Link" in paths:
        # Without values, which would have to be asked for.
        changed = [one.name for one in LINK.properties if not one.constant]
        yield Message.new_signal(paths["Link"], PROPERTIES, "PropertiesChanged", "sa{sv}as", [LINK.name, {}, changed])


def _argument(row: Row[Any], value: Any) -> Any:
    """Encode an argument. A device is its object's path: a slave comes by its ifindex, a master by its MAC."""
    if row.type is Type.SLAVE:
        return slave_path(value[1] or 0)
    return master_path(value[1]) if row.type is Type.MASTER else ENCODE[row.type](value, {})


def _slaves(master: Document) -> list[Document]:
    return [slave for slave in (master["primary"], master["standby"]) if slave]


def _slave(name: Any, master: Document) -> str:
    return next((slave_path(slave["ifindex"]) for slave in _slaves(master) if slave["name"] == name), NOTHING)


def _record(value: Any, _master: Document) -> dict[str, Variant]:
    if value is None:
        return {}
    parts = ((row, ENCODE[row.type](value[row.key], {})) for row in LAST_FAILOVER)
    return {camel(row.key): Variant(row.type.signature, part) for row, part in parts}


Encode = Callable[[Any, Document], Any]

ENCODE: Mapping[Type, Encode] = {
    Type.TEXT: lambda value, _: words(value or ""),
    Type.FLAG: lambda value, _: value,
    Type.NUMBER: lambda value, _: value or 0,
    Type.COUNT: lambda value, _: value or 0,
    Type.SECONDS: lambda value, _: float(value or 0),
    Type.TEXTS: lambda value, _: value,
    Type.SLAVE: _slave,
    Type.MASTER: lambda _, master: master_path(master["mac"]),
    Type.OBJECT: lambda value, _: slave_path(value["ifindex"] if value else 0),
    Type.RECORD: _record,
}
"""By the kind of a row: how to encode its value in the status document, for the master it belongs to, on D-Bus."""

Column = tuple[str, str, Encode, bool]
"""A property's name, its key, how its value is encoded, and whether the daemon reads it from the machine."""


def _columns(table: Table[Any]) -> tuple[Column, ...]:
    return tuple((camel(row.key), row.key, ENCODE[row.type], row.asked) for row in table.rows)


MANAGERS, MASTERS = _columns(tables.DAEMON), _columns(tables.MASTER)
SLAVES, NICS = _columns(tables.SLAVE), _columns(tables.NIC)


def _values(columns: tuple[Column, ...], found: Document, master: Document, asked: Asked) -> Values:
    return {
        name: asked[key](found["ifindex"]) if is_asked else encode(found[key], master)
        for name, key, encode, is_asked in columns
    }
