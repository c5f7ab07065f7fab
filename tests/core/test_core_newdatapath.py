"""A datapath is one file, and a row that says it is there: nothing else of the product knows it."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pairdriver import Driver
from test_core_histories import FOUR, SHAPES, machine
from toykernel import MAC

import failoverd
from failoverd.config.spec import Config, Master
from failoverd.core import datapath_choice
from failoverd.datapaths.adopted import Adopted
from failoverd.datapaths.base import Datapath
from failoverd.datapaths.inplace import InPlace
from failoverd.model.events import ReleaseAsked

sys.path.append(str(Path(__file__).parents[1] / "datapaths"))
from onefile import OneFile

ROOMS = ("core", "plan", "policy", "moves", "links", "daemon", "cli", "bus", "netlink")
PLAIN = {"name", "shape"}
"""All attributes of a datapath that are no methods. They are values: `name` is shown, `shape` is a key of a table."""
DATAPATHS = {Datapath, InPlace, Adopted, OneFile, *map(type, datapath_choice.JOINING)}


def test_a_pair_is_joined_fails_over_and_is_released_by_a_datapath_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = OneFile()
    monkeypatch.setattr(datapath_choice, "DATAPATHS", {**datapath_choice.DATAPATHS, "tc": one, one.name: one})
    kernel = machine(SHAPES["vf"])
    driver = Driver(kernel, Config(master=Master(create="always", datapath="tc")))
    driver.settle(10.0)
    pair = driver.state.pairs[MAC]
    assert (pair.datapath, pair.state) == (one, "accelerated")
    assert driver.is_reachable(FOUR)
    vf = next(link for link in kernel.links.values() if link.bus == "pci")
    kernel.unplug(vf.ifindex)
    driver.settle(driver.now + 10)
    assert (pair.state, driver.is_reachable(FOUR)) == ("on-standby", True)
    kernel.plug("ens9", "pci")
    driver.settle(driver.now + 10)
    assert (pair.state, driver.is_reachable(FOUR)) == ("accelerated", True)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert (pair.state, driver.is_reachable(FOUR)) == ("released", True)
    assert not any(link.tc.filters for link in kernel.links.values())


def test_no_module_asks_which_datapath_it_is() -> None:
    """`pair.datapath is tc.DATAPATH`, isinstance: what differs is asked of the datapath."""
    kinds = {one.__name__ for one in (Datapath, InPlace, Adopted)}
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Compare(ops=[ast.Is() | ast.IsNot()], comparators=[ast.Attribute(attr="DATAPATH")]):
                    pytest.fail(f"{path}:{node.lineno}: {ast.unparse(node)}")
                case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id=name)]) if name in kinds:
                    pytest.fail(f"{path}:{node.lineno}: {ast.unparse(node)}")


def test_a_datapath_has_no_flag() -> None:
    """What could be tested as one: an attribute, a property, or an answer yes or no that depends on nothing."""
    for kind in DATAPATHS:
        public = {key: value for key, value in vars(kind).items() if not key.startswith("_")}
        values = {key for key, value in public.items() if not inspect.isfunction(value)}
        assert values | {key for key in kind.__annotations__ if not key.startswith("_")} <= PLAIN, kind
        for key, value in public.items():
            if inspect.isfunction(value):
                signature = inspect.signature(value)
                assert signature.return_annotation not in ("bool", bool) or len(signature.parameters) > 1, (kind, key)


def test_no_attribute_of_a_datapath_is_tested_outside() -> None:
    found = [read for path in _modules() for read in flags_tested(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "if pair.datapath.survives: pass",
        "if vf and not s.datapath.name: pass",
        "x = 1 if known.datapath.shape == 'moving' else 2",
        "why = datapath.name or 'none'",
        "y = [one for one in pairs if one.datapath.polled]",
        "while not chosen(state, nic).shape: pass",
        "match pair.datapath.name:\n  case 'bond': pass",
        "z = any(pair.datapath.name == 'tc' for pair in pairs)",
        "early = not pair.datapath.early",
        "wanted = pair.datapath.early",
    ],
)
def test_the_test_finds_a_flag(code: str) -> None:
    assert flags_tested(code)


@pytest.mark.parametrize("code", ["if pair.datapath.holds(link, master): pass", "f(pair.datapath.name)"])
def test_the_test_lets_answers_and_values_be(code: str) -> None:
    assert not flags_tested(code)


def flags_tested(code: str) -> list[str]:
    """The reads of a datapath's attributes that are not called, but for plain values that decide nothing."""
    tree = ast.parse(code)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    deciding = {id(node) for test in _tests(tree) for node in ast.walk(test)}
    reads = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_datapath(node.value)]
    bad = [node for node in reads if id(node) not in called and (node.attr not in PLAIN or id(node) in deciding)]
    return [f"{node.lineno}: {ast.unparse(node)}" for node in bad]


def _is_datapath(node: ast.expr) -> bool:
    match node:
        case ast.Name(id="datapath") | ast.Attribute(attr="datapath"):
            return True
        case ast.Call(func=ast.Name(id="chosen" | "joined_by")):
            return True
    return False


def _tests(tree: ast.AST) -> Iterator[ast.expr]:
    """Everything in this code that decides something."""
    for node in ast.walk(tree):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
                yield test
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                yield node
            case ast.Match(subject=subject):
                yield subject
            case ast.comprehension(ifs=ifs):
                yield from ifs


def _modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from Path(failoverd.__path__[0], room).rglob("*.py")
