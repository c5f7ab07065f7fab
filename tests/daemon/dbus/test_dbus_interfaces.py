"""What the table of interfaces says is whole, and the policy opens to everybody what it may."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from failoverd.bus.interfaces import signature
from failoverd.daemon.dbus.errors import ERRORS
from failoverd.daemon.dbus.interfaces import INTERFACES

ROOT = Path(__file__).parents[3]


def test_every_error_a_method_names_is_explained() -> None:
    named = {error for interface in INTERFACES for method in interface.methods for error in method.errors}
    assert named <= ERRORS.keys()


def test_signatures_are_such() -> None:
    from dbus_next.signature import SignatureTree

    for interface in INTERFACES:
        for thing in (*interface.methods, *interface.signals):
            args = [*getattr(thing, "takes", ()), *getattr(thing, "gives", ()), *getattr(thing, "args", ())]
            assert len(SignatureTree._get(signature(tuple(args))).types) == len(args)
        for found in interface.properties:
            assert len(SignatureTree._get(found.signature).types) == 1


def test_all_properties_of_an_interface_are_asked_for_or_none() -> None:
    for interface in INTERFACES:
        assert len({found.asked for found in interface.properties}) < 2


def test_the_policy_lets_everybody_call_only_what_changes_nothing() -> None:
    tree = ElementTree.parse(ROOT / "units" / "org.failoverd1.conf")
    rules = [rule.attrib for rule in tree.findall("policy[@context='default']/allow")]
    open_to_all = {(rule["send_interface"], rule.get("send_member")) for rule in rules}
    ours = {(interface, member) for interface, member in open_to_all if interface.startswith("org.failoverd1")}
    assert ours == {(one.name, method.name) for one in INTERFACES for method in one.methods if not method.changes}
