"""The parts of `json` and `os` that a plain call of failoverctl needs, without importing either.

failoverctl has to start as fast as the tools beside it, and importing is most of its start. In processor time, with
Python's own start at 1: a plain call's imports take 1.3, with `os` 1.5, with `json` 2.3 (docs/measured.md). Most of
that cost of `json` is its own imports (`re`, `enum`, `functools`, `collections`). Its C part does without: `_json` is a
private name, though the same since Python 3.1; if it is not as expected, `json` does the work.

Code that a plain call does not run uses `json` and `os`.
"""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLANK = " \t\n\r"
"""White space in JSON."""


class _Plainly:
    """The context that `json.loads` passes to the scanner without special options (json/decoder.py, JSONDecoder)."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, Any] = {}  # noqa: RUF012


def loads(text: str) -> Any:
    """Return the value of a document that begins at its first character. Raises ValueError and RecursionError."""
    try:
        from _json import make_scanner

        scan: Any = make_scanner(_Plainly)  # type: ignore[arg-type]
    except (ImportError, AttributeError, TypeError):
        import json

        return json.loads(text)
    try:
        value, end = scan(text, 0)
    except StopIteration:
        raise ValueError("it does not begin with a value") from None
    except SystemError:
        # For invalid JSON the C part looks up the exception of `json.decoder`, and finds nothing imported.
        raise ValueError("it is no JSON") from None
    if text[end:].strip(BLANK):
        raise ValueError("there is something behind the value")
    return value


def quote(text: str) -> str:
    """Return a text as JSON, in ASCII."""
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        from json.encoder import py_encode_basestring_ascii as encode_basestring_ascii
    quoted: str = encode_basestring_ascii(text)
    return quoted


def dumps(value: Any, margin: str = "\n") -> str:
    """Return a document as `json.dumps` with an indent of 2 writes it. `margin` begins each of its lines."""
    inner = margin + "  "
    if isinstance(value, dict) and value:
        rows = [f"{quote(str(key))}: {dumps(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(rows)}{margin}}}"
    if isinstance(value, list | tuple) and value:
        return f"[{inner}{f',{inner}'.join(dumps(item, inner) for item in value)}{margin}]"
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    return "{}" if isinstance(value, dict) else "[]"


def environ(name: str, usual: str = "") -> str:
    """Return an environment variable; `usual` if it is not set."""
    if "os" in sys.modules:
        return str(sys.modules["os"].environ.get(name, usual))
    value = posix.environ.get(encoded(name))
    return usual if value is None else value.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def encoded(text: str) -> bytes:
    """Encode a path or an argument for the kernel, as os.fsencode does."""
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
