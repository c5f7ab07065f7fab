"""Introspection says what the reference page says: what a method does, whose it is, and how it may end."""

from __future__ import annotations

from xml.etree import ElementTree

from failoverd.bus.interfaces import Interface, Method
from failoverd.bus.introspect import DOC, introspect
from failoverd.bus.tree import Tree
from failoverd.daemon.dbus.interfaces import ERROR, INTERFACES, ROOT


def told(interfaces: tuple[Interface, ...]) -> dict[str, str]:
    """What introspection tells of each method of these interfaces."""
    tree = Tree(ROOT, interfaces)
    tree.replace({ROOT: {interface.name: {} for interface in interfaces}})
    methods = ElementTree.fromstring(introspect(tree, ROOT)).findall("interface/method")
    found = {method.get("name", ""): method.find(f"annotation[@name='{DOC}']") for method in methods}
    return {name: doc.get("value", "") for name, doc in found.items() if doc is not None}


def test_whose_a_method_is_and_its_errors() -> None:
    look, order = Method("Look", "Looks."), Method("Order", "Does it.", changes=True, errors=("Busy", "Failed"))
    assert told((Interface("org.example1.Thing", "A thing.", methods=(look, order)),)) == {
        "Look": "Looks. Any user may call it.",
        "Order": "Does it. Requires root, or the bus's policy to permit it. "
        "Errors, below org.example1.Error: Busy, Failed.",
    }


def test_of_ours_every_one_is_told() -> None:
    # Two interfaces may have a method of one name.
    for interface in INTERFACES:
        found = told((interface,))
        for method in interface.methods:
            assert ("Requires root" if method.changes else "Any user may call it.") in found[method.name]
            assert found[method.name].endswith(f" Errors, below {ERROR}: {', '.join(method.errors)}.")
