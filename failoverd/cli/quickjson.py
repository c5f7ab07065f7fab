"""JSON by the C part of the standard library's `json` alone.

`import json` costs as much as half a Python start: it brings `re`, `enum`, `functools` and `collections`, which its C
part does without. failoverctl has to start as fast as what it is compared with, so it does without them as well. That
part has a private name (`_json`), though it has been the same since Python 3.1; where it is not what we know, `json`
does the work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Plainly:
    """What `json.loads` hands to the scanner when nobody wants anything special (json/decoder.py, JSONDecoder)."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, Any] = {}  # noqa: RUF012


def loads(text: str) -> Any:
    """The value of a document that begins at its first character. Raises ValueError and RecursionError."""
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
    if text[end:].strip():
        raise ValueError("there is something behind the value")
    return value


def quote(text: str) -> str:
    """A text as JSON, in ASCII."""
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        from json.encoder import py_encode_basestring_ascii as encode_basestring_ascii
    quoted: str = encode_basestring_ascii(text)
    return quoted


def dumps(value: Any, margin: str = "\n") -> str:
    """A document as `json.dumps` with an indent of 2 writes it. `margin` is how a line of it begins."""
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
