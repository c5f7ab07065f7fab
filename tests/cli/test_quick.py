"""What failoverctl has in place of `json` and `os`, beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failoverd.cli import quick

ROOT = Path(__file__).parents[2]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def mangled(text: str) -> st.SearchStrategy[str]:
    """A document, and what is left of it where it was cut, or where another character got into it."""
    at = st.integers(0, len(text))
    cut = at.map(lambda i: text[:i])
    changed = st.tuples(at, st.sampled_from('{}[]",:0e-.\\u\0x\x1f')).map(
        lambda f: text[: f[0]] + f[1] + text[f[0] + 1 :]
    )
    return st.just(text) | cut | changed


@given(VALUES)
def test_it_reads_what_json_writes(value: Any) -> None:
    assert quick.loads(json.dumps(value) + "\n") == value
    assert quick.loads(json.dumps(value, ensure_ascii=False, indent=1)) == value


@given(VALUES)
def test_it_writes_what_json_writes(value: Any) -> None:
    assert quick.dumps(value) == json.dumps(value, indent=2)


@given(st.text())
def test_json_reads_what_it_writes(text: str) -> None:
    assert json.loads(quick.quote(text)) == text


@given(st.text(alphabet='{}[]",:0e-tn\\u \n'))
def test_what_is_no_json_is_refused_by_both(text: str) -> None:
    """A document with white space before it is the one thing that only json reads."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            quick.loads(text)
    else:
        if not text[:1].isspace():
            assert quick.loads(text) == expected


CHILD = """
import sys
from failoverd.cli.quick import loads
for line in sys.stdin.buffer:
    try:
        print(ascii(loads(bytes.fromhex(line.decode()).decode("utf-8", "surrogatepass"))))
    except (ValueError, RecursionError):
        print("refused")
assert "json" not in sys.modules
"""
"""failoverctl's own interpreter: nothing has imported `json`, in which the C part looks for its exception."""


def by_json(text: str) -> str:
    try:
        return ascii(json.loads(text))
    except (ValueError, RecursionError):
        return "refused"


CUT = [
    "{",
    "{x",
    '"',
    '{"a',
    '{"a": "',
    "[1,",
    "[",
    '{"a"',
    '{"a":',
    '{"a":1,',
    "\\",
    '"\\u12',
    '"\n"',
    "\u00a0",
    "1\u00a0",
]


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(st.lists(VALUES.map(json.dumps).flatmap(mangled), min_size=20, max_size=60))
def test_what_is_no_json_is_refused_where_nothing_but_the_c_part_is_there(texts: list[str]) -> None:
    texts = [text for text in (*CUT, "[" * 100_000, *texts) if not text[:1].isspace()]
    lines = "".join(f"{text.encode('utf-8', 'surrogatepass').hex()}\n" for text in texts)
    command = [sys.executable, "-c", CHILD]
    found = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert dict(zip(texts, found.stdout.splitlines(), strict=True)) == {text: by_json(text) for text in texts}


def test_a_python_without_the_c_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_json", None)
    assert quick.loads('{"a": [1]}') == {"a": [1]}
    assert quick.quote("ü\udcff\n") == '"\\u00fc\\udcff\\n"'
    with pytest.raises(ValueError, match="Expecting"):
        quick.loads("{")


ODD = ("plain", "ens日", os.fsdecode(b"\xff\xfe"), "")
ENVIRON = """
import sys
sys.path.append(sys.argv[1])
from failoverd.cli.quick import environ
found = environ("ODD")
assert "os" not in sys.modules
import os
print(ascii((found, environ("ODD"), os.environ["ODD"], environ("FAILOVERD_NONE", "usual"))))
"""


@pytest.mark.parametrize("value", ODD)
def test_the_environment_is_as_os_has_it(value: str) -> None:
    """-S: `site` imports it."""
    command = [sys.executable, "-IS", "-c", ENVIRON, str(ROOT)]
    done = subprocess.run(command, env=os.environ | {"ODD": value}, capture_output=True, check=True)
    assert done.stdout.decode().strip() == ascii((value, value, value, "usual"))
    assert quick.encoded(value) == os.fsencode(value)


def test_a_plain_call_imports_neither() -> None:
    found = "{'os', 're', 'json'} & {*sys.modules}"
    code = f"import sys; sys.path.append({str(ROOT)!r}); import failoverd.cli.ctl; print({found})"
    assert subprocess.check_output([sys.executable, "-IS", "-c", code]) == b"set()\n"
