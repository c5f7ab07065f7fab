"""Dispatch calls: the standard interfaces are answered here, an object's own methods elsewhere.

Every refusal names the place: the member, the object, the arguments that it was given and those that it takes. A
client's mistake is answered with an error and makes no line in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbus_next import Message, Variant

from failoverd.bus.interfaces import Arg, BusError, Method, signature
from failoverd.bus.introspect import introspect
from failoverd.bus.tree import OBJECT_MANAGER, PROPERTIES, Tree
from failoverd.dataclass import dataclass

ERROR = "org.freedesktop.DBus.Error"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
MACHINE_ID = Path("/etc/machine-id")

Body = list[Any]
STANDARD: dict[str, dict[str, tuple[str, str]]] = {
    INTROSPECTABLE: {"Introspect": ("", "s")},
    PEER: {"Ping": ("", ""), "GetMachineId": ("", "s")},
    PROPERTIES: {"Get": ("ss", "v"), "GetAll": ("s", "a{sv}"), "Set": ("ssv", "")},
    OBJECT_MANAGER: {"GetManagedObjects": ("", "a{oa{sa{sv}}}")},
}
"""The members of the standard interfaces: their input and output signatures."""
READS = {
    "Get": Method("Get", "Read a property.", gives=(Arg("value", "v", "Its value."),)),
    "GetAll": Method("GetAll", "Read all properties.", gives=(Arg("values", "a{sv}", "Their values."),)),
}
"""The calls that read properties whose values have to be asked for. They are carried out with these properties' names
as their arguments."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of an object's own method, checked against its interface: the caller, the object, the method and its
    arguments."""

    path: str
    interface: str
    method: Method
    arguments: list[Any]
    sender: str


def answer(tree: Tree, call: Message) -> tuple[str, Body] | Asked:
    """Return the answer's signature and body, or the call that is to be carried out. Raises BusError."""
    if (read := _read(tree, call)) is not None:
        return read
    if call.interface in STANDARD or (call.interface is None and _standard(call.member)):
        return _standard_answer(tree, call.interface or _standard(call.member), call)
    found = _own(tree, call)
    if found is None:
        raise BusError(f"{ERROR}.UnknownMethod", _unknown(tree, call))
    interface, method = found
    _check(call, signature(method.takes))
    return Asked(call.path, interface, method, call.body, call.sender or "")


def _read(tree: Tree, call: Message) -> Asked | None:
    """Return the call to be carried out where it reads properties whose values have to be asked for."""
    method = READS.get(call.member)
    if method is None or call.interface not in (None, PROPERTIES):
        return None
    if call.signature != STANDARD[PROPERTIES][call.member][0] or call.body[0] not in tree.objects.get(call.path, {}):
        return None
    names = [found.name for found in tree.interfaces[call.body[0]].properties if found.asked]
    if call.member == "Get":
        names = [name for name in names if name == call.body[1]]
    return Asked(call.path, call.body[0], method, names, call.sender or "") if names else None


def _standard(member: str) -> str:
    return next((name for name, members in STANDARD.items() if member in members), "")


def _own(tree: Tree, call: Message) -> tuple[str, Method] | None:
    for name in tree.objects.get(call.path, {}):
        method = tree.interfaces[name].method(call.member)
        if method is not None and call.interface in (None, name):
            return name, method
    return None


def _unknown(tree: Tree, call: Message) -> str:
    interfaces = tree.objects.get(call.path)
    if interfaces is None:
        return f"there is no object {call.path}; GetManagedObjects of {tree.root} gives those there are"
    if call.interface is not None and call.interface not in interfaces:
        return f"{call.path} has no interface {call.interface}; it has {', '.join(interfaces)}"
    methods = [f"{name}.{method.name}" for name in interfaces for method in tree.interfaces[name].methods]
    return f"{call.path} has no method {call.member}; it has {', '.join(methods) or 'none'}"


def _check(call: Message, takes: str) -> None:
    if call.signature != takes:
        text = f"{call.member} at {call.path} takes ({takes}) and was given ({call.signature})"
        raise BusError(f"{ERROR}.InvalidArgs", text)


def _standard_answer(tree: Tree, interface: str, call: Message) -> tuple[str, Body]:
    members = STANDARD[interface]
    if call.member not in members or (interface == OBJECT_MANAGER and call.path != tree.root):
        where = tree.root if interface == OBJECT_MANAGER else "every object"
        raise BusError(
            f"{ERROR}.UnknownMethod",
            f"{call.path} has no method {interface}.{call.member}; {where} has {', '.join(members)}",
        )
    takes, gives = members[call.member]
    _check(call, takes)
    if interface != PEER and call.path not in tree.objects and not tree.children(call.path):
        raise BusError(f"{ERROR}.UnknownObject", _unknown(tree, call))
    return gives, ANSWERS[call.member](tree, call)


def _managed(tree: Tree, _call: Message) -> Body:
    return [tree.managed()]


def _introspect(tree: Tree, call: Message) -> Body:
    return [introspect(tree, call.path)]


def _machine_id(_tree: Tree, call: Message) -> Body:
    try:
        return [MACHINE_ID.read_text(encoding="ascii").strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BusError(f"{ERROR}.Failed", f"{call.member}: {MACHINE_ID} cannot be read") from error


def _get_all(tree: Tree, call: Message) -> Body:
    interface = call.body[0]
    if interface in STANDARD:
        return [{}]
    interfaces = tree.objects.get(call.path, {})
    if interface not in interfaces:
        text = f"{call.path} has no interface {interface}; it has {', '.join(interfaces) or 'none'}"
        raise BusError(f"{ERROR}.UnknownInterface", text)
    return [tree.variants(interface, interfaces[interface])]


def _get(tree: Tree, call: Message) -> Body:
    values: dict[str, Variant] = _get_all(tree, call)[0]
    name = call.body[1]
    if name not in values:
        text = f"{call.body[0]} at {call.path} has no property {name}; it has {', '.join(values) or 'none'}"
        raise BusError(f"{ERROR}.UnknownProperty", text)
    return [values[name]]


def _set(tree: Tree, call: Message) -> Body:
    interface = tree.interfaces.get(call.body[0])
    found = interface.property(call.body[1]) if interface is not None else None
    if found is None or not found.asked or call.body[0] not in tree.objects.get(call.path, {}):
        _get(tree, call)
    raise BusError(f"{ERROR}.PropertyReadOnly", f"{call.body[0]}.{call.body[1]} at {call.path} can only be read")


ANSWERS: dict[str, Callable[[Tree, Message], Body]] = {
    "Introspect": _introspect,
    "Ping": lambda _tree, _call: [],
    "GetMachineId": _machine_id,
    "Get": _get,
    "GetAll": _get_all,
    "Set": _set,
    "GetManagedObjects": _managed,
}
