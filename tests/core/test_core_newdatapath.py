"""A datapath is one file, and a row that says it is there: nothing else of the product knows it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from pairdriver import Driver
from test_core_histories import FOUR, SHAPES, machine
from toykernel import MAC

import failoverd
from failoverd.config.spec import Config, Master
from failoverd.core import datapath_choice
from failoverd.datapaths.base import Adopted, Datapath, InPlace
from failoverd.model.events import ReleaseAsked

sys.path.append(str(Path(__file__).parents[1] / "datapaths"))
from onefile import OneFile

ROOMS = ("core", "plan", "policy", "daemon", "cli", "bus", "netlink")


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
    for room in ROOMS:
        for path in Path(failoverd.__path__[0], room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Compare(ops=[ast.Is() | ast.IsNot()], comparators=[ast.Attribute(attr="DATAPATH")]):
                        pytest.fail(f"{path}:{node.lineno}: {ast.unparse(node)}")
                    case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id=name)]) if name in kinds:
                        pytest.fail(f"{path}:{node.lineno}: {ast.unparse(node)}")
