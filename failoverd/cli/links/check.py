"""`failoverctl links check`: the links that a file declares, without a daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from failoverd.cli.client import NotDoneError
from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.tables import table
from failoverd.config.errors import ConfigError
from failoverd.config.load import load
from failoverd.model.declared import End

HEAD = ["LINK", "KIND", "DEVICE", "NAMESPACE", "OTHER END OR LOWER DEVICE", "DECLARED"]


def check(path: str, as_json: bool) -> tuple[int, dict[str, Any], list[str]]:
    """Read the file. Returns the exit code, a document and lines. Raises NotDoneError with the mistakes, unless they
    are wanted as JSON."""
    try:
        declared = load(Path(path)).declared
    except ConfigError as error:
        return REFUSED, mistakes(error, as_json) | {"links": [], "missing": []}, []
    ends = sorted(declared.values(), key=lambda end: end.name)
    missing = sorted({end.peer for end in ends if end.peer} - declared.keys())
    rows = [[end.name, end.kind, end.device, str(end.namespace), _other(end), end.source] for end in ends]
    lines = table(HEAD, rows) if rows else ["the file is in order, and declares no link"]
    lines += [f"[link.{name}] is not in it; its other end waits for it" for name in missing]
    own = ("name", "kind", "device", "peer", "source")
    told = [{key: getattr(end, key) for key in own} | {"namespace": str(end.namespace)} for end in ends]
    return DONE, {"problems": [], "links": told, "missing": missing}, lines


def mistakes(error: ConfigError, as_json: bool) -> dict[str, Any]:
    """Return the mistakes of a configuration as a document. Raises NotDoneError with them, unless they are wanted as
    JSON."""
    if not as_json:
        raise NotDoneError(str(error)) from error
    keys = ("file", "line", "subject", "text")
    return {"problems": [{key: getattr(problem, key) for key in keys} for problem in error.problems]}


def _other(end: End) -> str:
    return end.peer or (str(end.lower) if end.lower else "")
