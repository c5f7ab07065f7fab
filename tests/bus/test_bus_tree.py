"""Objects and what follows from their differences."""

from __future__ import annotations

from typing import Any

from failoverd.bus.interfaces import Interface, Property
from failoverd.bus.tree import Tree

INTERFACE = Interface("org.example.A", "A.", properties=(Property("N", "u", "N."), Property("S", "s", "S.")))


def told(tree: Tree, objects: Any) -> list[tuple[str, str, Any]]:
    return [(message.path, message.member, message.body) for message in tree.replace(objects)]


def test_what_is_new_gone_and_different_is_told_and_nothing_else() -> None:
    tree = Tree("/r", (INTERFACE,))
    one, other = {"N": 1, "S": "a"}, {"N": 2, "S": "a"}
    added = told(tree, {"/r/a": {"org.example.A": one}, "/r/b": {"org.example.A": one}})
    assert [(path, member, body[0]) for path, member, body in added] == [
        ("/r", "InterfacesAdded", "/r/a"),
        ("/r", "InterfacesAdded", "/r/b"),
    ]
    assert {name: value.value for name, value in added[0][2][1]["org.example.A"].items()} == one
    same = {"/r/a": {"org.example.A": dict(one)}, "/r/b": {"org.example.A": dict(one)}}
    assert told(tree, same) == []
    different = told(tree, {"/r/a": {"org.example.A": other}})
    assert different[0] == ("/r", "InterfacesRemoved", ["/r/b", ["org.example.A"]])
    path, member, (interface, values, invalid) = different[1]
    assert (path, member, interface, invalid) == ("/r/a", "PropertiesChanged", "org.example.A", [])
    assert {name: value.value for name, value in values.items()} == {"N": 2}
    assert len(different) == 2


def test_names_below_a_path() -> None:
    tree = Tree("/r", (INTERFACE,))
    tree.replace({"/r": {}, "/r/a/b": {}, "/r/a/c": {}, "/rest": {}})
    assert [tree.children(path) for path in ("/", "/r", "/r/a", "/r/a/b")] == [["r", "rest"], ["a"], ["b", "c"], []]
