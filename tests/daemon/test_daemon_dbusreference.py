"""The reference page is the one the table makes, and the policy is one that dbus-daemon takes."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from failoverd.bus.faces import signature
from failoverd.daemon import dbusreference
from failoverd.daemon.dbuserrors import ERRORS
from failoverd.daemon.dbusfaces import FACES

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(dbusreference.__file__), run_name="__main__")
    made = capsys.readouterr().out
    assert (ROOT / "docs" / "reference" / "dbus.md").read_text() == made, "run `make docs`"


def test_every_error_a_method_names_is_explained() -> None:
    named = {error for face in FACES for method in face.methods for error in method.errors}
    assert named <= ERRORS.keys()


def test_signatures_are_such() -> None:
    from dbus_next.signature import SignatureTree

    for face in FACES:
        for thing in (*face.methods, *face.signals):
            args = [*getattr(thing, "takes", ()), *getattr(thing, "gives", ()), *getattr(thing, "args", ())]
            assert len(SignatureTree._get(signature(tuple(args))).types) == len(args)
        for found in face.properties:
            assert len(SignatureTree._get(found.signature).types) == 1


def test_the_policy_lets_everybody_call_only_what_changes_nothing() -> None:
    tree = ElementTree.parse(ROOT / "units" / "org.failoverd1.conf")
    rules = [rule.attrib for rule in tree.findall("policy[@context='default']/allow")]
    open_to_all = {(rule["send_interface"], rule.get("send_member")) for rule in rules}
    ours = {(face, member) for face, member in open_to_all if face.startswith("org.failoverd1")}
    assert ours == {(face.name, method.name) for face in FACES for method in face.methods if not method.changes}
