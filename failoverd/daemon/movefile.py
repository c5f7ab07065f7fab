"""The journal of a move into another network namespace as a file: JSON, as those of joins (journal.py).

It is below the runtime directory: a reboot ends every namespace, and all hardware is at home then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from failoverd.config.regular import read_regular
from failoverd.daemon.files import put
from failoverd.daemon.journal import (
    UNREADABLE,
    JournalError,
    flag,
    inet_in,
    inet_out,
    rows,
    text,
    try_inet,
    whole,
)
from failoverd.daemon.kept import LARGEST_JOURNAL
from failoverd.kinds import KINDS, Spec, Veth
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid
from failoverd.model.inet import Rule
from failoverd.model.links import Qdisc
from failoverd.model.pairs import Inet
from failoverd.moves.items import Item, Nic, Record, Toward
from failoverd.netlink.frames import NetlinkError, build, split
from failoverd.netlink.links import raw_name
from failoverd.netlink.qdiscs import add_root
from failoverd.netlink.rules import RTM_NEWRULE, read_rule, write_rule
from failoverd.policy.naming import flat, invalid_name_reason

FORMAT = 1


def called(ref: NamespaceRef) -> str:
    """Return a namespace in words: "web" for one by name, "pid 4711" for others."""
    return ref.value if ref.by == "name" else str(ref)


def at_home(record: Record) -> str:
    """Return the master's name at home; elsewhere it may have another one."""
    return (record.home or record.items)[0].name


def said(mac: str, record: Record | None) -> AwaySaid:
    """Return what the failover engine is told of a journal; None: the pair is at home."""
    if record is None:
        return AwaySaid(mac, "", "")
    return AwaySaid(mac, at_home(record), where(record), record.ref.word, record.is_parked)


def where(record: Record) -> str:
    """Return where the pair is, in words."""
    home = f"failoverctl move {at_home(record)} --home brings it back"
    if record.is_parked:
        return f"it is parked until the network namespace {called(record.ref)} is there again; {home}"
    if not record.is_over:
        way = "to" if record.toward is Toward.AWAY else "home from"
        return f"it is on its way {way} the network namespace {called(record.ref)}"
    return f"it is in the network namespace {called(record.ref)}; {home}"


def path_of(directory: Path, mac: str) -> Path:
    """Return the file of this pair."""
    return directory / f"{flat(mac)}.json"


def write_record(directory: Path, record: Record) -> None:
    """Write the journal, whole or not at all. Raises OSError."""
    put(path_of(directory, record.mac), dumps(record).encode())


def read_record(path: Path) -> Record:
    """Read a journal back. Raises OSError, JournalError, UnicodeDecodeError."""
    record = loads(read_regular(path, LARGEST_JOURNAL).decode())
    if path != path_of(path.parent, record.mac):
        raise JournalError(f"it is about {record.mac!r}, and its name says otherwise")
    return record


def dumps(record: Record) -> str:
    """Return the text of the file."""
    document = {
        "format": FORMAT,
        "mac": record.mac,
        "namespace": {"by": record.ref.by, "value": record.ref.value, "create": record.ref.create},
        "toward": record.toward.value,
        "is_over": record.is_over,
        "is_parked": record.is_parked,
        "is_by_key": record.is_by_key,
        "nics": [
            {
                "parent": nic.parent,
                "name": nic.name,
                "formers": list(nic.formers),
                "carries": nic.carries,
                "settings": dict(nic.settings),
                "qdisc": _qdisc_out(nic.qdisc),
            }
            for nic in record.nics
        ],
        "items": [_item_out(item) for item in record.items],
        "home": [_item_out(item) for item in record.home],
        "rules": [write_rule(rule).hex() for rule in record.rules],
    }
    return json.dumps(document, indent=1) + "\n"


def loads(raw_text: str) -> Record:
    """Read the text of a file. Raises JournalError."""
    try:
        raw = json.loads(raw_text)
        if raw["format"] != FORMAT:
            raise JournalError(f"its format is {raw['format']!r}, and this failoverd reads {FORMAT}")
        ref = raw["namespace"]
        record = Record(
            mac=text(raw["mac"]),
            ref=NamespaceRef(text(ref["by"]), text(ref["value"]), flag(ref["create"])),
            toward=Toward(raw["toward"]),
            items=tuple(_item_in(row) for row in rows(raw["items"])),
            nics=tuple(_nic_in(row) for row in rows(raw["nics"])),
            home=tuple(_item_in(row) for row in rows(raw["home"])),
            is_over=flag(raw["is_over"]),
            rules=tuple(_rule_in(row) for row in rows(raw.get("rules", []))),
            is_parked=flag(raw.get("is_parked", False)),
            is_by_key=flag(raw.get("is_by_key", False)),
        )
        if not record.items or ((record.is_over or record.is_parked) and not record.home):
            raise JournalError("it has no master")
    except UNREADABLE as error:
        raise JournalError(f"it cannot be read: {error!r}") from error
    return record


def _rule_in(row: object) -> Rule:
    """Read a rule, which is in the journal as in the kernel's messages."""
    (message,) = split(build(RTM_NEWRULE, 0, 0, bytes.fromhex(text(row))))
    try:
        rule = read_rule(message)
    except NetlinkError as error:
        raise ValueError(str(error)) from error
    write_rule(rule)
    return rule


def _nic_in(row: Mapping[str, Any]) -> Nic:
    formers = tuple(_name(name) for name in rows(row["formers"]))
    settings = tuple((text(name), text(value)) for name, value in row["settings"].items())
    try_inet(Inet(settings=settings))
    qdisc = _qdisc_in(row.get("qdisc"))
    return Nic(text(row["parent"]), _name(row["name"]), formers, flag(row["carries"]), settings, qdisc)


def _item_out(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "info": _info_out(item.info),
        "mac": item.mac,
        "mtu": item.mtu,
        "up": item.up,
        "altnames": list(item.altnames),
        "lower": item.lower,
        "master": item.master,
        "rest": item.rest.hex(),
        "promiscuous": item.promiscuous,
        "all_multicast": item.all_multicast,
        "inet": inet_out(item.inet),
        "qdisc": _qdisc_out(item.qdisc),
    }


def _item_in(row: Mapping[str, Any]) -> Item:
    item = Item(
        name=_name(row["name"]),
        info=_info_in(row["info"]),
        mac=text(row["mac"]),
        mtu=whole(row["mtu"], 0xFFFFFFFF),
        up=flag(row["up"]),
        altnames=tuple(text(name) for name in rows(row["altnames"])),
        lower=text(row["lower"]),
        master=text(row.get("master", "")),
        rest=bytes.fromhex(row.get("rest", "")),
        promiscuous=flag(row["promiscuous"]),
        all_multicast=flag(row["all_multicast"]),
        inet=inet_in(row["inet"]),
        qdisc=_qdisc_in(row.get("qdisc")),
    )
    # All of it has to be writable now, and not in the middle of a move.
    bytes.fromhex(item.mac.replace(":", ""))
    for name in item.altnames:
        raw_name(name)
    item.info.write()
    try_inet(item.inet)
    return item


def _qdisc_out(qdisc: Qdisc | None) -> dict[str, Any] | None:
    return {"kind": qdisc.kind, "handle": qdisc.handle, "options": qdisc.options.hex()} if qdisc is not None else None


def _qdisc_in(row: Mapping[str, Any] | None) -> Qdisc | None:
    """Read a qdisc. One that is not there is the kernel's default, and a journal of an earlier version has none."""
    if row is None:
        return None
    qdisc = Qdisc(text(row["kind"]), whole(row["handle"], 0xFFFFFFFF), bytes.fromhex(row["options"]))
    add_root(1, qdisc, 1)
    return qdisc


def _name(value: object) -> str:
    if why := invalid_name_reason(text(value)):
        raise ValueError(f"no device is called {value!r}: {why}")
    return text(value)


def _info_out(info: Spec) -> dict[str, Any]:
    values = {field.name: getattr(info, field.name) for field in fields(info)}
    return {"kind": info.kind} | {key: v.hex() if isinstance(v, bytes) else v for key, v in values.items()}


def _info_in(row: Mapping[str, Any]) -> Spec:
    """Read the options of a device: numbers, flags and bytes, as a new one of that kind has them."""
    kind = KINDS[text(row["kind"])]
    usual = kind()
    if isinstance(usual, Veth):
        raise ValueError("a veth cannot be cloned")
    options: dict[str, Any] = {}
    for field in fields(usual):
        key = field.name
        like, value = getattr(usual, key), row[key]
        if isinstance(like, bytes):
            options[key] = bytes.fromhex(value)
        else:
            options[key] = flag(value) if isinstance(like, bool) else whole(value, 0xFFFFFFFF)
    return type(usual)(**options)
