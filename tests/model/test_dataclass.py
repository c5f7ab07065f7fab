"""The dataclass of the project beside the standard library's: one class made by both, and asked the same."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import failoverd
from failoverd.dataclass import dataclass

STANDARD = r"^ *from dataclasses import .*\bdataclass\b"
Make = Callable[..., Any]


ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "Empty": [()],
    "One": [(1,), ((1,),), (2,)],
    "Two": [("a",), ("a", 1, 3), ("b", 2), ("b", 2, 2, [1])],
    "Derived": [("a",), ("a", 1, 2, (), (3,)), ("a", 1, 3)],
}


def classes(make: Make, **flags: bool) -> dict[str, Any]:
    """Classes of each shape there is, as this decorator makes them."""

    class Empty:
        """None."""

    class One:
        """A field that is no tuple."""

        value: object

    class Two:
        """Four, one of them not told of, one not compared and one not hashed."""

        name: str
        hidden: int = dataclasses.field(default=1, repr=False)
        aside: int = dataclasses.field(default=2, compare=False)
        apart: object = dataclasses.field(default=(), hash=False)

    made = {cls.__name__: make(**flags)(cls) for cls in (Empty, One, Two)}

    more = {"__annotations__": {"more": "tuple[int, ...]"}, "more": ()}
    return made | {"Derived": make(**flags)(type("Derived", (made["Two"],), more))}


FLAGS = [{"frozen": True, "slots": True}, {"slots": True}, {"frozen": True}, {}, {"slots": True, "eq": False}]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_it_does_as_the_standard_one(flags: dict[str, bool]) -> None:
    ours, theirs = classes(dataclass, **flags), classes(dataclasses.dataclass, **flags)
    for name, rows in ARGUMENTS.items():
        mine, other = [ours[name](*row) for row in rows], [theirs[name](*row) for row in rows]
        assert [repr(one) for one in mine] == [repr(one) for one in other]
        assert [[a == b for b in mine] for a in mine] == [[a == b for b in other] for a in other]
        assert mine[0] != other[0]
        assert ours[name].__match_args__ == theirs[name].__match_args__
        assert hasattr(mine[0], "__dict__") == hasattr(other[0], "__dict__")
        assert [field.name for field in dataclasses.fields(mine[0])] == list(ours[name].__match_args__)
        assert bool(ours[name].__hash__) == bool(theirs[name].__hash__)
        if flags.get("frozen"):
            assert len({*mine}) == len({*other})


@given(st.text(), st.integers(), st.integers())
def test_what_is_equal_has_one_hash(name: str, hidden: int, aside: int) -> None:
    two = classes(dataclass, frozen=True, slots=True)["Two"]
    one = two(name, hidden, aside)
    assert hash(one) == hash(dataclasses.replace(one, aside=aside + 1))
    assert one != dataclasses.replace(one, hidden=hidden + 1)


def test_without_arguments() -> None:
    @dataclass
    class Plain:
        """The decorator without its call."""

        value: int

    assert Plain(1) == Plain(1)
    assert Plain(1) != Plain(2)
    assert repr(Plain(1)).endswith("Plain(value=1)")


def test_all_of_failoverd_has_it() -> None:
    """A frozen class of the standard library could not derive from one of these, and costs the start more."""
    root = Path(failoverd.__file__).parent
    paths = [path for path in root.rglob("*.py") if path.name != "dataclass.py" and "share" not in path.parts]
    dear = [str(path.relative_to(root)) for path in paths if re.search(STANDARD, path.read_text(), re.MULTILINE)]
    assert dear == [], "import dataclass from failoverd.dataclass"
