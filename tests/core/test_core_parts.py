"""Each part of a pair, and of the state, is written by the module it stands in, and by no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import failoverd
from failoverd import core
from failoverd.core.arrivals import Arrivals
from failoverd.core.attention import Attention
from failoverd.core.auto_naming import Names
from failoverd.core.bonding import Bonding
from failoverd.core.conditions import Conditions
from failoverd.core.crowding import Obstacles
from failoverd.core.failovers import Failovers
from failoverd.core.health import Health
from failoverd.core.memory import Memory
from failoverd.core.move import Move
from failoverd.core.orders import Heard, Orders
from failoverd.core.paths import Paths
from failoverd.core.residing import Residing
from failoverd.core.slave_guard import Guard
from failoverd.core.state import PairState, State
from failoverd.core.switch import Carry
from failoverd.core.udev_marks import Marking
from failoverd.core.work import Work

PARTS: dict[str, tuple[type[Any], str]] = {
    "move": (Move, "advance"),
    "carry": (Carry, "switch"),
    "failovers": (Failovers, "failovers"),
    "health": (Health, "health"),
    "paths": (Paths, "paths"),
    "conditions": (Conditions, "conditions"),
    "orders": (Orders, "orders"),
    "heard": (Heard, "orders"),
    "names": (Names, "auto_naming"),
    "guard": (Guard, "slave_guard"),
    "marking": (Marking, "udev_marks"),
    "obstacles": (Obstacles, "crowding"),
}
"""By the name of the part, what it is and the module that writes it."""
WHOLE: dict[str, tuple[type[Any], str]] = {
    "work": (Work, "work"),
    "residing": (Residing, "residing"),
    "arrivals": (Arrivals, "arrivals"),
    "attention": (Attention, "attention"),
    "bonding": (Bonding, "bonding"),
    "memory": (Memory, "memory"),
}
"""Parts, of a pair or of the state, whose own methods alone write them."""
OF_A_PAIR = {
    "datapath": {"matching"},
    "held": {"adopt"},
    "nic": {"advance"},
    "away": {"away"},
    "away_name": {"away"},
    "failovers": {"away"},
    "joined": set(),
    "state": set(),
    "reason": set(),
}
"""The fields of a pair that are no part, or a part that is replaced, and the modules that write them; none where that
is for PairState's own methods.
"""
OF_THE_STATE: dict[str, set[str]] = {
    "config": set(),
    "configured": set(),
    "links": {"world"},
    "synced": {"world"},
    "ending": {"step"},
    "pairs": set(),
    "others": set(),
    "judgements": set(),
    "times": set(),
    "renames_live": set(),
}
"""The same of the state's fields. `judgements` and `times` have methods."""
APART = {"move"}
"""Parts that stand in a module of their own: what writes them imports the state, which imports the parts."""
RECALL = "inputs"
"""What a former life has kept is put into a pair before anything else knows it."""
CHANGING = {"add", "append", "clear", "discard", "extend", "pop", "remove", "setdefault", "update"}


def written(tree: ast.AST) -> Iterator[ast.expr]:
    """What this code assigns to, deletes, or calls a changing method of."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign():
                for target in node.targets:
                    yield from target.elts if isinstance(target, ast.Tuple) else [target]
            case ast.AugAssign() | ast.AnnAssign():
                yield node.target
            case ast.Delete():
                yield from node.targets
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in CHANGING:
                yield value


def attributes_written(code: str) -> Iterator[ast.Attribute]:
    for target in written(ast.parse(code)):
        while isinstance(target, ast.Subscript):
            target = target.value
        if isinstance(target, ast.Attribute):
            yield target


def parts_written(code: str) -> set[str]:
    found, parts = set(), {**PARTS, **WHOLE}
    for target in attributes_written(code):
        match target:
            case ast.Attribute(value=ast.Attribute(attr=part) | ast.Name(id=part), attr=name) if part in parts:
                if name in {field.name for field in fields(parts[part][0])}:
                    found.add(part)
    return found


def fields_written(code: str) -> set[str]:
    """Fields of a pair as "pair.joined", of the state as "state.config"."""
    found = set()
    for target in attributes_written(code):
        match target.value:
            case ast.Name(id="pair" | "known") | ast.Call(func=ast.Name(id="pair")):
                found.add(f"pair.{target.attr}")
            case ast.Call(func=ast.Attribute(attr="pair")) | ast.Subscript(value=ast.Attribute(attr="pairs")):
                found.add(f"pair.{target.attr}")
            case ast.Name(id="state") | ast.Attribute(attr="state"):
                found.add(f"state.{target.attr}")
    return found


def test_each_part_has_one_writer() -> None:
    assert {field.name for field in fields(PairState)} >= PARTS.keys()
    writers: dict[str, set[str]] = {part: set() for part in PARTS}
    for path in Path(core.__path__[0]).glob("*.py"):
        for part in parts_written(path.read_text()) & PARTS.keys() if path.stem != RECALL else ():
            writers[part].add(path.stem)
    assert writers == {part: {module} for part, (_, module) in PARTS.items()}
    for part, (kind, module) in PARTS.items():
        assert kind.__module__ == f"failoverd.core.{part if part in APART else module}"


def test_parts_with_methods_are_written_by_these_alone() -> None:
    for room in ("core", "daemon", "cli"):
        for path in Path(failoverd.__path__[0], room).rglob("*.py"):
            assert not parts_written(path.read_text()) & WHOLE.keys(), path
    for kind, module in WHOLE.values():
        assert kind.__module__ == f"failoverd.core.{module}"


def test_every_other_field_has_one_writer() -> None:
    assert PARTS.keys() | OF_A_PAIR.keys() | {"mac", "work", "residing"} == {field.name for field in fields(PairState)}
    assert OF_THE_STATE.keys() | WHOLE.keys() - {"work", "residing"} == {field.name for field in fields(State)}
    wanted = {
        **{f"pair.{name}": by for name, by in OF_A_PAIR.items()},
        **{f"state.{n}": by for n, by in OF_THE_STATE.items()},
    }
    writers: dict[str, set[str]] = {name: set() for name in wanted}
    for room in ("core", "daemon", "cli"):
        for path in Path(failoverd.__path__[0], room).rglob("*.py"):
            for name in fields_written(path.read_text()) & wanted.keys() if path.stem != RECALL else ():
                writers[name].add(path.stem)
    assert writers == wanted


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("pair.work.looking = True", "work"),
        ("del pair.work.refusals[request]", "work"),
        ("work.refusals[request] = refusal", "work"),
        ("state.attention.concerned |= {owner}", "attention"),
        ("self.state.bonding.configurers.update(found)", "bonding"),
        ("pair.carry.because = ''", "carry"),
    ],
)
def test_a_write_to_a_part_is_found(code: str, part: str) -> None:
    assert parts_written(code) == {part}


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("pair.joined = True", "pair.joined"),
        ("pair.state, pair.reason = 'alone', ''", "pair.state"),
        ("state.pairs[mac].held = True", "pair.held"),
        ("state.pair(mac).held = True", "pair.held"),
        ("self.state.config = config", "state.config"),
        ("state.pairs.setdefault(mac, new)", "state.pairs"),
        ("del state.links[ifindex]", "state.links"),
    ],
)
def test_a_write_to_a_field_is_found(code: str, field: str) -> None:
    assert field in fields_written(code)


def test_every_field_of_a_part_is_told_of() -> None:
    """By a docstring under it, or by its name and the line of the part."""
    for kind, _ in (*PARTS.values(), *WHOLE.values()):
        source = Path(core.__path__[0], f"{kind.__module__.rpartition('.')[2]}.py").read_text()
        node = next(
            one for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == kind.__name__
        )
        told = zip(node.body, [*node.body[1:], None], strict=True)
        untold = [one for one, text in told if isinstance(one, ast.AnnAssign) and not _is_text(text)]
        bare = {ast.unparse(one.target) for one in untold}
        assert bare <= {"drain", "owner", "refusals"}, f"{node.name}: {bare}"


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
