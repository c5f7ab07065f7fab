"""Answer the calls of org.failoverd1.Inventory with the inventory's own answers.

They are its questions, as the control socket has them. A machine may have thousands of interfaces, and an interface
thousands of addresses, so what is long is translated in slices, and other tasks run in between.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import trio
from dbus_next import Variant

from failoverd.bus.body import STRUCT, Body
from failoverd.bus.dispatch import Asked
from failoverd.core.call_answers import CallError
from failoverd.daemon.control import Ask
from failoverd.daemon.dbus.objects import words
from failoverd.inventory.questions import ACTIVE, ALL, INACTIVE, LIST, ROW, XML
from failoverd.inventory.rows import INTERFACE
from failoverd.model.facts import Type, camel
from failoverd.model.text import printable

SLICE = 100
"""Addresses that are written at a stretch."""
WHICH = (ALL, INACTIVE, ACTIVE, ALL)
"""By the flags of List: the interfaces meant. The numbers are libvirt's (VIR_CONNECT_LIST_INTERFACES_INACTIVE and
_ACTIVE)."""
KINDS = {row.key: row.type for row in INTERFACE.rows}

Answer = list[Any] | bytes


async def answer(asked: Asked, ask: Ask) -> Answer:
    """Return the answer to a call of the interface, or to a reading of its properties. Raises CallError."""
    return await ANSWERS[asked.method.name](asked.arguments, ask)


async def _list(arguments: Sequence[Any], ask: Ask) -> Answer:
    flags = arguments[0]
    if flags >= len(WHICH):
        text = f"the flags are 1 for inactive interfaces, 2 for active ones, 3 or 0 for all, and not {flags}"
        raise CallError(text, "BadArgument")
    _head, *slices, _tail = await ask("interfaces", (LIST, WHICH[flags]))
    body = Body()
    rows = body.begin_array(STRUCT)
    for one in slices:
        for name, is_active, mac, ifindex in json.loads(b"[" + one.removeprefix(b", ") + b"]"):
            body.align(STRUCT)
            body.text(_text(name))
            body.number(is_active)
            body.text(mac)
            body.number(ifindex)
        await trio.lowlevel.checkpoint()
    body.end_array(rows)
    return body.whole()


async def _xml(arguments: Sequence[Any], ask: Ask) -> Answer:
    pieces = await ask("interface", (XML, arguments[0]))
    body = Body()
    body.text(json.loads(pieces[1]))
    return body.whole()


async def _describe(arguments: Sequence[Any], ask: Ask) -> Answer:
    pieces = await ask("interface", (ROW, arguments[0]))
    body = Body()
    facts = body.begin_array(STRUCT)
    for key, value in json.loads(pieces[1]).items():
        if value is not None:
            body.align(STRUCT)
            body.text(camel(key))
            body.signature(KINDS[key].signature)
            await WRITE[KINDS[key]](body, value)
    body.end_array(facts)
    return body.whole()


async def _get(arguments: Sequence[Any], ask: Ask) -> Answer:
    values = await _properties(ask)
    return [values[arguments[0]]]


async def _get_all(_arguments: Sequence[Any], ask: Ask) -> Answer:
    return [await _properties(ask)]


async def _properties(ask: Ask) -> dict[str, Variant]:
    found = json.loads(b"".join(await ask("generation", ())))
    return {"Generation": Variant("t", found["generation"]), "Sure": Variant("b", found["sure"])}


ANSWERS: Mapping[str, Callable[[Sequence[Any], Ask], Awaitable[Answer]]] = {
    "List": _list,
    "XML": _xml,
    "Describe": _describe,
    "Get": _get,
    "GetAll": _get_all,
}
"""By the method."""


def _text(raw: str) -> str:
    """Return a name as failoverctl shows it; the rest of it is UTF-8."""
    return words(printable(raw))


async def _write_text(body: Body, value: str) -> None:
    body.text(_text(value))


async def _write_number(body: Body, value: int) -> None:
    body.number(value)


async def _write_texts(body: Body, value: list[str]) -> None:
    texts = body.begin_array(4)
    for one in value:
        body.text(_text(one))
    body.end_array(texts)


async def _write_addresses(body: Body, value: list[dict[str, Any]]) -> None:
    addresses = body.begin_array(4)
    rest = iter(value)
    while some := list(islice(rest, SLICE)):
        for one in some:
            entries = body.begin_array(STRUCT)
            body.align(STRUCT)
            body.text("Address")
            body.signature("s")
            body.text(one["address"])
            body.align(STRUCT)
            body.text("Prefix")
            body.signature("u")
            body.number(one["prefix"])
            body.end_array(entries)
        await trio.lowlevel.checkpoint()
    body.end_array(addresses)


WRITE: Mapping[Type, Callable[[Body, Any], Awaitable[None]]] = {
    Type.TEXT: _write_text,
    Type.FLAG: _write_number,
    Type.NUMBER: _write_number,
    Type.TEXTS: _write_texts,
    Type.ADDRESSES: _write_addresses,
}
"""By the kind of a row: how to write its value. A number that is 64 bits long is none of the inventory's."""
