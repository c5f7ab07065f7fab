"""JSON by the C part of `json` alone.

Importing `json` takes as long as the rest of an ADD without IPAM: most of it are its own imports (`re`, `enum`,
`functools`, `collections`). `_json` is a private name. Where it is not as expected, and for a document with an error,
`json` does the work: its errors name line and column.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLANK = " \t\n\r"


class _Context:
    """What `json.JSONDecoder` passes to the scanner without special options (json/decoder.py)."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, Any] = {}  # noqa: RUF012


def loads(text: str) -> Any:
    """Return the value of a document. Raises ValueError and RecursionError."""
    text = text.strip(BLANK)
    try:
        from _json import make_scanner

        scan: Any = make_scanner(_Context)  # type: ignore[arg-type]
        value, end = scan(text, 0)
    except (ImportError, AttributeError, TypeError, ValueError, StopIteration, SystemError):
        # SystemError: for invalid JSON the C part looks up an exception of `json.decoder`, which is not imported.
        return _by_json(text)
    return value if end == len(text) else _by_json(text)


def _by_json(text: str) -> Any:
    import json

    return json.loads(text)


def dumps(value: Any) -> str:
    """Return a document on one line, in ASCII."""
    try:
        from _json import encode_basestring_ascii, make_encoder

        encode: Any = make_encoder(None, _unknown, encode_basestring_ascii, None, ": ", ", ", False, False, True)
        return "".join(encode(value, 0))
    except (ImportError, TypeError):
        import json

        return json.dumps(value)


def _unknown(value: Any) -> Any:
    raise TypeError(f"{value!r} is no JSON")
