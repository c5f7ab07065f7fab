"""Introspection says what the reference page says: what a method does, whose it is, and how it may end."""

from __future__ import annotations

from xml.etree import ElementTree

from failoverd.bus.faces import Face, Method
from failoverd.bus.introspect import DOC, introspect
from failoverd.bus.tree import Tree
from failoverd.daemon.dbusfaces import ERROR, FACES, ROOT


def told(faces: tuple[Face, ...]) -> dict[str, str]:
    """What introspection tells of each method of these faces."""
    tree = Tree(ROOT, faces)
    tree.replace({ROOT: {face.name: {} for face in faces}})
    methods = ElementTree.fromstring(introspect(tree, ROOT)).findall("interface/method")
    found = {method.get("name", ""): method.find(f"annotation[@name='{DOC}']") for method in methods}
    return {name: doc.get("value", "") for name, doc in found.items() if doc is not None}


def test_whose_a_method_is_and_its_errors() -> None:
    look, order = Method("Look", "Looks."), Method("Order", "Does it.", changes=True, errors=("Busy", "Failed"))
    assert told((Face("org.example1.Thing", "A thing.", methods=(look, order)),)) == {
        "Look": "Looks. Everybody's.",
        "Order": "Does it. Root's, and whose the bus's policy says. Errors, below org.example1.Error: Busy, Failed.",
    }


def test_of_ours_every_one_is_told() -> None:
    found = told(FACES)
    for method in (method for face in FACES for method in face.methods):
        assert ("Root's" if method.changes else "Everybody's") in found[method.name]
        assert found[method.name].endswith(f" Errors, below {ERROR}: {', '.join(method.errors)}.")
