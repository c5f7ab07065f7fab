from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.cli import quickjson

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_it_reads_what_json_writes(value: Any) -> None:
    assert quickjson.loads(json.dumps(value) + "\n") == value
    assert quickjson.loads(json.dumps(value, ensure_ascii=False, indent=1)) == value


@given(VALUES)
def test_it_writes_what_json_writes(value: Any) -> None:
    assert quickjson.dumps(value) == json.dumps(value, indent=2)


@given(st.text())
def test_json_reads_what_it_writes(text: str) -> None:
    assert json.loads(quickjson.quote(text)) == text


@given(st.text(alphabet='{}[]",:0e-tn\\u \n'))
def test_what_is_no_json_is_refused_by_both(text: str) -> None:
    """A document with white space before it is the one thing that only json reads."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            quickjson.loads(text)
    else:
        if not text[:1].isspace():
            assert quickjson.loads(text) == expected


def test_a_python_without_the_c_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_json", None)
    assert quickjson.loads('{"a": [1]}') == {"a": [1]}
    assert quickjson.quote("ü\udcff\n") == '"\\u00fc\\udcff\\n"'
    with pytest.raises(ValueError, match="Expecting"):
        quickjson.loads("{")
