"""Each part of a pair is written by the module it stands in, and by no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from failoverd import core
from failoverd.core.auto_naming import Names
from failoverd.core.conditions import Conditions
from failoverd.core.crowding import Obstacles
from failoverd.core.failovers import Failovers
from failoverd.core.health import Health
from failoverd.core.move import Move
from failoverd.core.orders import Heard, Orders
from failoverd.core.paths import Paths
from failoverd.core.slave_guard import Guard
from failoverd.core.state import PairState
from failoverd.core.switch import Carry
from failoverd.core.udev_marks import Marking

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


def parts_written(path: Path) -> set[str]:
    found = set()
    for target in written(ast.parse(path.read_text())):
        while isinstance(target, ast.Subscript):
            target = target.value
        match target:
            case ast.Attribute(value=ast.Attribute(attr=part), attr=name) if part in PARTS:
                if name in {field.name for field in fields(PARTS[part][0])}:
                    found.add(part)
    return found


def test_each_part_has_one_writer() -> None:
    assert {field.name for field in fields(PairState)} >= PARTS.keys()
    writers: dict[str, set[str]] = {part: set() for part in PARTS}
    for path in Path(core.__path__[0]).glob("*.py"):
        for part in parts_written(path) if path.stem != RECALL else ():
            writers[part].add(path.stem)
    assert writers == {part: {module} for part, (_, module) in PARTS.items()}
    for part, (kind, module) in PARTS.items():
        assert kind.__module__ == f"failoverd.core.{part if part in APART else module}"


def test_every_field_of_a_part_is_told_of() -> None:
    """By a docstring under it, or by its name and the line of the part."""
    for kind, _ in PARTS.values():
        source = Path(core.__path__[0], f"{kind.__module__.rpartition('.')[2]}.py").read_text()
        node = next(
            one for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == kind.__name__
        )
        told = zip(node.body, [*node.body[1:], None], strict=True)
        untold = [one for one, text in told if isinstance(one, ast.AnnAssign) and not _is_text(text)]
        bare = {ast.unparse(one.target) for one in untold}
        assert bare <= {"drain"}, f"{node.name}: {bare}"


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
