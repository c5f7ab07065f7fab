"""The spellings and the words that are made of a row."""

from __future__ import annotations

from typing import Any

from failoverd.model.facts import Row, Table, Type, camel, metric_name, sentence

STATE: Row[Any] = Row("state", Type.TEXT, "How it is.", str, values=("up", "down", "gone"))
MOVES: Row[Any] = Row("moves", Type.COUNT, "How often it moved.", len, metric="counter")
ENDS: Row[Any] = Row("drain_ends", Type.SECONDS, "When it ends.", float, unit="seconds since 1970")


def test_every_spelling_is_made_from_the_key() -> None:
    assert (camel(ENDS.key), camel("link-renamed")) == ("DrainEnds", "LinkRenamed")
    assert metric_name(MOVES, "link_") == "failoverd_link_moves_total"
    assert metric_name(STATE) == "failoverd_state"


def test_a_sentence_has_the_words_and_the_unit() -> None:
    assert sentence(STATE) == "How it is. One of up, down and gone."
    assert sentence(ENDS) == "When it ends. In seconds since 1970."
    assert sentence(MOVES) == MOVES.text


def test_a_type_is_told_for_dbus_and_for_json() -> None:
    assert (Type.TEXTS.signature, Type.TEXTS.json) == ("as", "list of texts")


def test_a_table_finds_the_values_but_not_what_the_machine_is_asked_for() -> None:
    asked: Row[Any] = Row("now", Type.TEXT, "What the machine says.", str, asked=True)
    assert Table("Word", "A word.", (MOVES, asked)).of("abc") == {"moves": 3}
