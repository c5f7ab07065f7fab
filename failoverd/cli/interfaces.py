"""`failoverctl interfaces` and `interface-xml`: print what the inventory says.

A machine may have thousands of interfaces, so the JSON is the daemon's own, passed on unchanged, and a row of the table
is made with little work. XML is UTF-8, whatever the locale.
"""

from __future__ import annotations

import sys

from failoverd.cli.arguments import UsageError
from failoverd.cli.client import call, plain_call
from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.output import complain
from failoverd.cli.tables import terminal_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from failoverd.cli.arguments import Wanted

HEAD = ("Name", "State", "MAC Address")
STATES = ("inactive", "active")
UNSURE = (
    "the kernel told more than failoverd could take in, and what is shown may not be all there is; "
    "ask again in a moment"
)


def interfaces(wanted: Wanted) -> int:
    """Print the table, the JSON document, or the changes. Returns the exit code."""
    options = wanted.options
    flags = [word for word in ("active", "inactive") if f"--{word}" in options]
    which = flags[0] if len(flags) == 1 else "all"
    if "--watch" in options:
        if "--quiet" in options:
            raise UsageError("--watch has nothing to do with --quiet", wanted.command)
        from failoverd.cli.interfacewatch import watch

        return watch(which, "--json" in options, sys.stdout)
    if "--json" in options:
        return _written(plain_call("interfaces", "json", which) + b"\n", wanted)
    document = call("interfaces", "table", which)
    _written("".join(table(document["interfaces"])).encode("utf-8", "backslashreplace"), wanted)
    return _sure(document["sure"])


def table(rows: list[list[str]]) -> list[str]:
    """Return the table's lines, with their line ends."""
    shown = [(terminal_text(name), STATES[bool(is_active)], mac or "-") for name, is_active, mac in rows]
    width = max((len(name) for name, _, _ in shown), default=0)
    width = max(width, len(HEAD[0]))
    lines = [f" {name:<{width}}   {state:<8}   {mac}\n" for name, state, mac in (HEAD, *shown)]
    return [lines[0], "-" * (width + 35) + "\n", *lines[1:]]


def interface_xml(wanted: Wanted) -> int:
    """Print the XML documents of the named interfaces, or of all. Returns the exit code."""
    is_all = "--all" in wanted.options
    if is_all == bool(wanted.arguments):
        raise UsageError("interface-xml wants NAME or --all", wanted.command)
    question = ("every-interface-xml",) if is_all else ("interface-xml", *wanted.arguments)
    if "--json" in wanted.options:
        return _written(plain_call(*question) + b"\n", wanted)
    document = call(*question)
    texts = document["documents"]
    if is_all:
        texts = ["<interfaces>\n", *(_indented(text) for text in texts), "</interfaces>\n"]
    _written("".join(texts).encode(), wanted)
    code = _sure(document["sure"])
    for why in document["refused"]:
        code = complain(str(why), REFUSED)
    return code


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _written(data: bytes, wanted: Wanted) -> int:
    if "--quiet" not in wanted.options:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return DONE


def _sure(is_sure: object) -> int:
    return DONE if is_sure else complain(UNSURE, DONE)
