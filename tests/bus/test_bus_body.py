"""A body that is built by hand is what dbus-next makes of the same values."""

from __future__ import annotations

from typing import Any

from dbus_next import Message, Variant
from hypothesis import given
from hypothesis import strategies as st

from failoverd.bus.body import STRUCT, Body
from failoverd.bus.wire import marshal

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NUMBERS = st.integers(0, 0xFFFFFFFF)
ROWS = st.lists(st.tuples(TEXTS, st.booleans(), TEXTS, NUMBERS), max_size=5)


def body_of(signature: str, *values: Any) -> bytes:
    raw = marshal(Message("a.b", "/", "a.b", "C", signature=signature, body=list(values), serial=1))
    return raw[-int.from_bytes(raw[4:8], "little") :]


@given(ROWS)
def test_a_list_of_rows(rows: list[tuple[str, bool, str, int]]) -> None:
    body = Body()
    begun = body.begin_array(STRUCT)
    for name, flag, mac, number in rows:
        body.align(STRUCT)
        body.text(name)
        body.number(flag)
        body.text(mac)
        body.number(number)
    body.end_array(begun)
    assert body.whole() == body_of("a(sbsu)", [list(row) for row in rows])


@given(st.dictionaries(TEXTS, st.one_of(TEXTS, NUMBERS, st.lists(TEXTS, max_size=3)), max_size=5))
def test_a_dictionary_of_variants(facts: dict[str, Any]) -> None:
    body = Body()
    begun = body.begin_array(STRUCT)
    kinds = {str: "s", int: "u", list: "as"}
    for key, value in facts.items():
        body.align(STRUCT)
        body.text(key)
        body.signature(kinds[type(value)])
        if isinstance(value, str):
            body.text(value)
        elif isinstance(value, int):
            body.number(value)
        else:
            texts = body.begin_array(4)
            for one in value:
                body.text(one)
            body.end_array(texts)
    body.end_array(begun)
    variants = {key: Variant(kinds[type(value)], value) for key, value in facts.items()}
    assert body.whole() == body_of("a{sv}", variants)
