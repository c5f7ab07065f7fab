"""`failoverctl`: query a running failoverd, and tell it what to do.

It has to start as fast as the tools beside it, and imports are most of a small Python program's time. So the plain path
of a call imports nothing of the standard library that Python has not imported itself; what only some calls need (help,
watch, the configuration's reader) is imported there.
"""

from __future__ import annotations

import sys

from failoverd.cli import show
from failoverd.cli.arguments import UsageError, Wanted, parse
from failoverd.cli.client import NoDaemonError, NotDoneError, call
from failoverd.cli.commands import COMMANDS, CTL, DONE, NO_DAEMON, NOT_PERMITTED, REFUSED, TIMED_OUT, WRONG_USAGE
from failoverd.cli.output import complain, guarded, never_choke, say
from failoverd.cli.quick import dumps, encoded
from failoverd.cli.tables import terminal_text, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Document = dict[str, Any]
    Outcome = tuple[int, Document, Sequence[str]]

INTERRUPTED = 130
"""The exit code that a shell gives to a program ended by Ctrl-C."""
CODES = {"AccessDenied": NOT_PERMITTED, "TimedOut": TIMED_OUT}
"""Exit codes by the kind of a refusal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    never_choke()
    try:
        wanted = parse(CTL, _words() if argv is None else argv)
        if "--help" in wanted.options or "--version" in wanted.options:
            from failoverd.cli.usage import about

            return DONE if say([about(CTL, wanted)]) else REFUSED
        return guarded(lambda: ASIDE[wanted.command](wanted)) if wanted.command in ASIDE else _once(wanted)
    except UsageError as error:
        from failoverd.cli.usage import wrong

        return complain(wrong(CTL, error), WRONG_USAGE)
    except NoDaemonError as error:
        return complain(str(error), NO_DAEMON)
    except NotDoneError as error:
        return complain(str(error), CODES.get(error.kind, REFUSED))
    except KeyboardInterrupt:
        return INTERRUPTED


def _words() -> list[str]:
    """Return the command line. Names go to the daemon in UTF-8, in whatever locale Python decoded them."""
    return [encoded(word).decode("utf-8", "surrogateescape") for word in sys.argv[1:]]


def _once(wanted: Wanted) -> int:
    """Run a command once and print its result. A change that was made stays made even if it cannot be printed; a query
    that cannot be printed has failed."""
    code, document, lines = RUN[wanted.command](wanted)
    if "--quiet" in wanted.options:
        return code
    if "--json" in wanted.options:
        lines = [dumps(document)]
    written = say(lines)
    return code if written or COMMANDS[wanted.command].changes else code or REFUSED


def _status(wanted: Wanted) -> Outcome:
    document = call("status")
    masters = show.rows(document, "masters")
    if wanted.arguments:
        masters = [_row(document, wanted.arguments[0])]
        document = document | {"masters": masters}
    return show.exit_code(masters, bool(wanted.arguments)), document, show.status(masters, _colour(wanted))


def _list(wanted: Wanted) -> Outcome:
    found = show.devices(call("status"))
    return DONE, {"devices": found}, show.listing(found, _colour(wanted))


def _show(wanted: Wanted) -> Outcome:
    row = _row(call("status"), wanted.arguments[0])
    return DONE, row, show.pair(row, _colour(wanted))


def _explain(wanted: Wanted) -> Outcome:
    document = call("explain", *wanted.arguments)
    return DONE, document, show.explain(document, _colour(wanted))


def _drain(wanted: Wanted) -> Outcome:
    master = wanted.arguments[0]
    seconds = wanted.options.get("--timeout")
    document = call("drain", master, *([] if seconds is None else [seconds]))
    end = f"{show.ends_in(document)}, " if show.ends_in(document) else ""
    name = show.text(document, "master") or master
    active = show.text(document, "active")
    sentences = [
        f"{name}: traffic is on {active}, and the neighbours have been told. The VF may be pulled now.",
        f"The drain ends {end}with the next VF that is plugged in, or by failoverctl undrain {name}.",
    ]
    if document.get("drained") is False:
        sentences = [
            f"{name}: traffic is on {active}, and the neighbours have been told.",
            "There is no VF, so nothing is drained: the next one carries when it has been steady.",
        ]
    return DONE, document, [terminal_text(sentence) for sentence in sentences]


def _undrain(wanted: Wanted) -> Outcome:
    document = call("undrain", *wanted.arguments)
    name = show.text(document, "master")
    sentence = f"{name}: no longer drained; traffic goes back to the VF once that has been steady"
    return DONE, document, [terminal_text(sentence)]


def _reset_damping(wanted: Wanted) -> Outcome:
    document = call("reset-damping", *wanted.arguments)
    sentence = f"{show.text(document, 'master')}: the VF's flaps are forgotten"
    return DONE, document, [terminal_text(sentence)]


def _switch(wanted: Wanted) -> Outcome:
    document = call("switch", *wanted.arguments)
    sentence = f"{show.text(document, 'master')}: traffic is on {show.text(document, 'active')}"
    return DONE, document, [terminal_text(sentence)]


def _rename(wanted: Wanted) -> Outcome:
    document = call("rename", *wanted.arguments)
    return (
        DONE,
        document,
        [terminal_text(f"{show.text(document, 'old_name')} is {show.text(document, 'new_name')} now")],
    )


def _begin(wanted: Wanted) -> Outcome:
    document = call(wanted.command, *wanted.arguments)
    mac = show.text(document, "mac")
    return (
        DONE,
        document,
        [terminal_text(f"{wanted.command}: under way for {mac}; failoverctl status tells how far it is")],
    )


def _move(wanted: Wanted) -> Outcome:
    from failoverd.cli import move

    return move.move(wanted)


def _reload(_wanted: Wanted) -> Outcome:
    document = call("reload")
    changes = document.get("changes")
    lines = [terminal_text(str(line)) for line in changes] if isinstance(changes, list) else []
    return DONE, document, lines or ["read; nothing has changed"]


def _check_config(wanted: Wanted) -> Outcome:
    from pathlib import Path

    from failoverd.config.errors import ConfigError
    from failoverd.config.load import load
    from failoverd.config.readable import unreadable

    try:
        load(Path(wanted.arguments[0]) if wanted.arguments else None)
        if not wanted.arguments and (hidden := unreadable()):
            raise ConfigError(hidden)
    except ConfigError as error:
        if "--json" not in wanted.options:
            raise NotDoneError(str(error)) from error
        keys = ("file", "line", "subject", "text")
        problems = [{key: getattr(problem, key) for key in keys} for problem in error.problems]
        return REFUSED, {"problems": problems}, []
    return DONE, {"problems": []}, ["the configuration is in order"]


def _install_service(wanted: Wanted) -> Outcome:
    from pathlib import Path

    from failoverd.cli import service

    root = Path(wanted.options.get("--root", "/")).absolute()
    try:
        if not root.is_dir():
            raise NotDoneError(f"{root} is no directory; --root takes the one that a system's files are in")
        lines = service.remove(root) if "--remove" in wanted.options else service.install(root, service.programs())
    except PermissionError as error:
        raise NotDoneError(f"{error.filename}: {error.strerror}; try it as root", "AccessDenied") from error
    except OSError as error:
        raise NotDoneError(f"{error.filename}: {error.strerror}") from error
    return DONE, {"next": lines}, ["# next, as root:", *lines]


def _watch(wanted: Wanted) -> int:
    from failoverd.cli.watch import watch

    return watch("--json" in wanted.options, _colour(wanted), sys.stdout)


def _history(wanted: Wanted) -> int:
    from contextlib import redirect_stdout
    from os import devnull

    from failoverd.cli.history import history

    if "--quiet" not in wanted.options:
        return history(wanted)
    with open(devnull, "w", encoding="ascii") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123 - as in history
        return history(wanted)


def _interfaces(wanted: Wanted) -> int:
    from failoverd.cli.interfaces import interfaces

    return interfaces(wanted)


def _interface_xml(wanted: Wanted) -> int:
    from failoverd.cli.interfaces import interface_xml

    return interface_xml(wanted)


def _links(wanted: Wanted) -> int:
    from failoverd.cli.links.run import links

    return links(wanted)


def _fleet(wanted: Wanted) -> int:
    from failoverd.cli.handover import hand_over

    return hand_over(CTL, wanted)


RUN: Mapping[str, Callable[[Wanted], Outcome]] = {
    "status": _status,
    "list": _list,
    "show": _show,
    "explain": _explain,
    "drain": _drain,
    "undrain": _undrain,
    "reset-damping": _reset_damping,
    "switch": _switch,
    "rename": _rename,
    "release": _begin,
    "adopt": _begin,
    "move": _move,
    "reload": _reload,
    "check-config": _check_config,
    "install-service": _install_service,
}


ASIDE: Mapping[str, Callable[[Wanted], int]] = {
    "interfaces": _interfaces,
    "interface-xml": _interface_xml,
    "fleet": _fleet,
    "links": _links,
    "watch": _watch,
    "history": _history,
}
"""Commands that print as they go, or print something else than a list of lines."""


def _row(document: Document, word: str) -> Document:
    """Return the master that the word names; only the daemon knows alternative names."""
    row = show.find(document, word)
    if row is None:
        nics = show.rows(call("explain", word), "nics") if word else []
        row = show.find(document, show.text(nics[0], "mac")) if nics else None
    if row is None:
        raise NotDoneError(f"{word!r} belongs to no pair; failoverctl explain says why", "NoSuchPair")
    return row


def _colour(wanted: Wanted) -> bool:
    return sys.stdout is not None and wants_colour(sys.stdout, wanted.options.get("--color", "auto"))
