"""The manual page failoverctl(8), made from the table of commands. `make docs` writes it; a test compares.

python3 -m failoverd.cli.manual > docs/man/failoverctl.8
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from failoverd.cli.commands import COMMANDS, OPTIONS, Command, Option
from failoverd.cli.usage import about, exit_codes, sentence
from failoverd.config.manual import roff, title

_HEAD = """\
.SH NAME
failoverctl \\- ask a running failoverd, and tell it what to do
.SH SYNOPSIS
.B failoverctl
[\\fB\\-\\-json\\fR] [\\fB\\-\\-quiet\\fR] [\\fB\\-\\-color\\fR \\fIWHEN\\fR] [\\fICOMMAND\\fR [\\fIARGUMENT\\fR...]]
.SH DESCRIPTION
.B failoverctl
asks
.BR failoverd (8)
over its control socket, prints the answer, and tells by its exit code what to make of it.
Reading is everybody's; what changes something is root's.
It needs neither D\\-Bus nor a terminal.
.PP
Commands and options cannot be abbreviated.
Options may stand before or behind the command; what follows
.B \\-\\-
is no option.
Bytes in names that a terminal would act on are shown as escapes."""

_JSON = """\
.SH JSON
.B status \\-\\-json
prints an object with the daemon's
.IR version ,
.I masters
and
.IR nics .
A master has
.IR name ", " ifindex ", " mac ", " datapath ", " mtu ,
.I state
(accelerated, on\\-standby, joining, releasing, released, degraded, alone; a later release may know others),
.I reason
(why it is in that state, in words),
.I active
(the slave that carries, or null),
.I primary
and
.I standby
(objects with
.IR name ", " ifindex ", " driver ", " parent ", " up ", " carrier ", " carrier_losses ", " mtu " and " fit ,
or null),
.IR failovers ,
.I last_failover
.RI ( from ", " to ", " reason ", " monotonic ", " silence ,
or null) and
.I drain
.RI ( until ,
or null).
A NIC has
.IR name ", " ifindex ", " mac ", " driver ", " bus ", " verdict " and " reason .
.PP
.I monotonic
and
.I until
are CLOCK_MONOTONIC in seconds,
.I silence
is in seconds.
.B show
prints one such master,
.B explain
an object with such
.IR nics ,
.B list
one with
.I devices
.RI ( name ", " ifindex ", " role ", " master ", " state ).
Each line of
.B watch
is an object with
.IR time ,
.I event
(master, changed, gone, none, no\\-daemon, daemon),
.I text
and
.I master
(such a row, or null).
.B check\\-config
prints
.I problems
.RI ( file ", " line ", " subject ", " text ),
.B install\\-service
what it did, or with
.B \\-\\-dry\\-run
would do:
.IR dry_run " and " steps
(a list of texts).
.B history
prints a list of events, the oldest first. Each has
.I event
(failed\\-over, renamed, joined, released, started, stopped),
.I at
(seconds since 1970),
.I monotonic
and
.IR boot ;
and, as far as they apply,
.IR master ", " mac ", " ifname ", " ifindex ", " role ", " from ", " to ", " from_ifindex ", " to_ifindex ,
.IR reason ", " silence_usec ", " active ", " active_ifindex ", " active_role " and " version .
Keys may be added; none is taken away or changes its meaning within a release series.
A byte of a name that is not UTF\\-8 is a lone surrogate from U+DC80 to U+DCFF.
.PP
Errors are text on the standard error, with and without
.BR \\-\\-json ."""

_TAIL = """\
.SH ENVIRONMENT
.TP
.B FAILOVERD_CONTROL
The daemon's control socket, in place of
.IR /run/failoverd/control .
.TP
.B FAILOVERD_HISTORY
The file that
.B history
reads, in place of
.IR /var/lib/failoverd/history .
.TP
.B NO_COLOR
When it is set and not empty, nothing is coloured unless
.B \\-\\-color=always
says so.
.TP
.B TERM
When it is
.B dumb
or not set, as well.
.SH SEE ALSO
.BR failoverd (8),
.BR failoverd.toml (5),
.BR failoverd\\-hooks (8)
"""


def page() -> str:
    """The page, in the macros of man(7)."""
    return "\n".join([title("failoverctl", 8), _HEAD, *_commands(), *_options(), *_exits(), _JSON, *_examples(), _TAIL])


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    for name, command in COMMANDS.items():
        yield f".TP\n{_call(name, command)}"
        yield roff(f"{sentence(command.summary)} {about(command)}")
        if command.options:
            yield ".RS"
            for option in command.options:
                yield from _option(option)
            yield ".RE"


def _call(name: str, command: Command) -> str:
    words = [f"\\fB{roff(name)}\\fR"]
    for word in command.takes:
        is_free = word.startswith("[")
        italic = f"\\fI{word.strip('[]')}\\fR"
        words.append(f"[{italic}]" if is_free else italic)
    return " ".join(words)


def _options() -> Iterator[str]:
    yield ".SH OPTIONS"
    for option in OPTIONS:
        yield from _option(option)


def _option(option: Option) -> Iterator[str]:
    flags = ", ".join(f"\\fB{roff(flag)}\\fR" for flag in (option.letter, option.flag) if flag)
    yield f".TP\n{flags}" + (f" \\fI{option.value}\\fR" if option.value else "")
    yield roff(f"{', '.join(option.words)}: {option.about}" if option.words else option.about)


def _exits() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, what in exit_codes().items():
        yield f".TP\n.B {code}\n{roff(what)}"


def _examples() -> Iterator[str]:
    yield ".SH EXAMPLES"
    for command in COMMANDS.values():
        for words, what in command.examples:
            yield f".TP\n\\fBfailoverctl {roff(words)}\\fR\n{roff(what)}"


if __name__ == "__main__":
    sys.stdout.write(page())
