"""`failoverctl`: ask a running failoverd, and tell it what to do.

It has to start as fast as the tools it stands beside, and most of a small Python program's time is what it imports. So
the plain way of a call imports nothing of the standard library that Python has not imported itself: whatever only some
calls need (help, watch, the configuration's reader) is imported where they need it.
"""

from __future__ import annotations

import sys

from failoverd.cli import show
from failoverd.cli.arguments import UsageError, Wanted, parse
from failoverd.cli.client import NoDaemonError, RefusedError, call
from failoverd.cli.commands import COMMANDS, DONE, NO_DAEMON, NOT_PERMITTED, REFUSED, TIMED_OUT, WRONG_USAGE
from failoverd.cli.output import complain, guarded, never_choke, say
from failoverd.cli.quickjson import dumps
from failoverd.cli.quickos import encoded
from failoverd.cli.tables import printable, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Document = dict[str, Any]
    Outcome = tuple[int, Document, Sequence[str]]

INTERRUPTED = 130
"""What a shell calls a program that Ctrl-C has ended."""
CODES = {"AccessDenied": NOT_PERMITTED, "TimedOut": TIMED_OUT}
"""Exit codes of their own, by the kind of a refusal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    never_choke()
    try:
        wanted = parse(_words() if argv is None else argv)
        if "--help" in wanted.options or "--version" in wanted.options:
            return DONE if say([_about(wanted)]) else REFUSED
        return guarded(lambda: ASIDE[wanted.command](wanted)) if wanted.command in ASIDE else _once(wanted)
    except UsageError as error:
        return _wrong(error)
    except NoDaemonError as error:
        return complain(str(error), NO_DAEMON)
    except RefusedError as error:
        return complain(str(error), CODES.get(error.kind, REFUSED))
    except KeyboardInterrupt:
        return INTERRUPTED


def _words() -> list[str]:
    """The command line. Names are told in UTF-8, whatever locale Python takes them to be in."""
    return [encoded(word).decode("utf-8", "surrogateescape") for word in sys.argv[1:]]


def _once(wanted: Wanted) -> int:
    """What was done stays done when nobody can be told; what was to be read has not been read."""
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
    return DONE, document, [printable(sentence) for sentence in sentences]


def _undrain(wanted: Wanted) -> Outcome:
    document = call("undrain", *wanted.arguments)
    name = show.text(document, "master")
    sentence = f"{name}: no longer drained; traffic goes back to the VF once that has been steady"
    return DONE, document, [printable(sentence)]


def _switch(wanted: Wanted) -> Outcome:
    document = call("switch", *wanted.arguments)
    sentence = f"{show.text(document, 'master')}: traffic is on {show.text(document, 'active')}"
    return DONE, document, [printable(sentence)]


def _rename(wanted: Wanted) -> Outcome:
    document = call("rename", *wanted.arguments)
    return DONE, document, [printable(f"{show.text(document, 'old')} is {show.text(document, 'new')} now")]


def _begin(wanted: Wanted) -> Outcome:
    document = call(wanted.command, *wanted.arguments)
    mac = show.text(document, "mac")
    return DONE, document, [printable(f"{wanted.command}: under way for {mac}; failoverctl status tells how far it is")]


def _reload(_wanted: Wanted) -> Outcome:
    document = call("reload")
    changes = document.get("changes")
    return DONE, document, [printable(str(line)) for line in changes] if changes else ["read; nothing has changed"]


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
            raise RefusedError(str(error)) from error
        keys = ("file", "line", "subject", "text")
        problems = [{key: getattr(problem, key) for key in keys} for problem in error.problems]
        return REFUSED, {"problems": problems}, []
    return DONE, {"problems": []}, ["the configuration is in order"]


def _watch(wanted: Wanted) -> int:
    from failoverd.cli.watch import watch

    return watch("--json" in wanted.options, _colour(wanted), sys.stdout)


def _history(wanted: Wanted) -> int:
    from failoverd.cli import history
    from failoverd.cli.delegate import delegate

    if "--json" in wanted.options and (drawn := wanted.options.keys() & {"--strip", "--svg"}):
        raise UsageError(f"{drawn.pop()} is a picture, and there is none in JSON: leave --json out", "history")
    return delegate(wanted, history.add_options, history.run)


RUN: Mapping[str, Callable[[Wanted], Outcome]] = {
    "status": _status,
    "list": _list,
    "show": _show,
    "explain": _explain,
    "drain": _drain,
    "undrain": _undrain,
    "switch": _switch,
    "rename": _rename,
    "release": _begin,
    "adopt": _begin,
    "reload": _reload,
    "check-config": _check_config,
}


def _install_service(wanted: Wanted) -> int:
    from failoverd.cli import service
    from failoverd.cli.delegate import delegate

    return delegate(wanted, service.add_arguments, service.run)


ASIDE: Mapping[str, Callable[[Wanted], int]] = {
    "watch": _watch,
    "history": _history,
    "install-service": _install_service,
}
"""Commands that print as they go, or what is no list of lines."""


def _row(document: Document, word: str) -> Document:
    """The master that is meant; alternative names are known to the daemon alone."""
    row = show.find(document, word)
    if row is None:
        nics = show.rows(call("explain", word), "nics") if word else []
        row = show.find(document, show.text(nics[0], "mac")) if nics else None
    if row is None:
        raise RefusedError(f"{word!r} belongs to no pair; failoverctl explain says why", "NoSuchPair")
    return row


def _about(wanted: Wanted) -> str:
    if "--version" in wanted.options:
        from failoverd import __version__

        return f"failoverctl {__version__}"
    from failoverd.cli.usage import help_text

    return help_text(wanted.command if wanted.named else "").rstrip("\n")


def _wrong(error: UsageError) -> int:
    from failoverd.cli.usage import usage

    more = f"failoverctl {error.command} --help" if error.command else "failoverctl --help"
    return complain(f"{error}; {more} says more\n{usage(error.command)}", WRONG_USAGE)


def _colour(wanted: Wanted) -> bool:
    return sys.stdout is not None and wants_colour(sys.stdout, wanted.options.get("--color", "auto"))
