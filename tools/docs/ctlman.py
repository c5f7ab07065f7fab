"""The manual page failoverctl(8), from the table of commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from roff import roff, title

from failoverd.cli.arguments import Command, Option, Program
from failoverd.cli.commands import CTL
from failoverd.cli.links.table import LINKS
from failoverd.cli.usage import exit_codes, more_of, sentence
from failoverd.core.document import DAEMON, LAST_FAILOVER, MASTER, NIC, SLAVE
from failoverd.core.link_facts import COUNTERS, ETCD, LINK
from failoverd.core.signal_facts import event, keys
from failoverd.inventory.rows import INTERFACE
from failoverd.model import facts
from failoverd.model.facts import Row

EVENT = (event(), *keys().values())

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
Any user may read; what changes something requires root.
It needs neither D\\-Bus nor a terminal.
.PP
Commands and options cannot be abbreviated.
Options may stand before or behind the command; what follows
.B \\-\\-
is no option.
Bytes in names that a terminal would act on are shown as escapes."""

_KEYS: tuple[tuple[str, str, Iterable[Row[Any]]], ...] = (
    ("Keys of failoverd", "What status prints, beside masters and nics: a list of each.", DAEMON.rows),
    ("Keys of a master", "What show prints, and status of each.", MASTER.rows),
    ("Keys of a slave", "Of a master's primary and standby.", SLAVE.rows),
    ("Keys of last_failover", "Of a master.", LAST_FAILOVER),
    ("Keys of a NIC", "Of nics, which status and explain print.", NIC.rows),
    ("Keys of an interface", "Of interfaces, which interfaces prints.", INTERFACE.rows),
    ("Keys of a link", "Of links, which links list prints; links show prints one.", LINK.rows),
    ("Keys of etcd", "Of the object etcd that links list prints beside its list where [etcd] is enabled.", ETCD.rows),
    ("Keys of an event", "Of each in the list that history prints, the oldest first, as far as they apply.", EVENT),
)

_JSON = """\
.SS Other documents
.B list
prints an object with
.I devices
.RI ( name ", " ifindex ", " role ", " master ", " state ).
.B interfaces
prints, beside its list, the
.I generation
(a number that is another one after every change) and
.I sure
(false where the kernel has told more than could be taken in, and something may be missing);
.B interfaces \\-\\-watch
objects like those of
.BR watch ,
with
.I interface
(such a row, or null) in place of
.IR master .
.B interface\\-xml
prints
.I documents
(texts of XML) and
.I refused
(why there is none, in words), too.
Each line of
.B watch
is an object with
.I time
(seconds since 1970),
.I event
(master, changed, gone, none, no\\-daemon, daemon),
.I text
and
.I master
(such a row, or null).
.B drain
and
.B switch
print a pair's
.IR mac ", " master " and " active ,
.B drain
.IR drained " and " drain_ends ,
too;
.B undrain
.IR mac " and " master ;
.B rename
.IR ifindex ", " old_name " and " new_name ;
.BR release " and " adopt
.IR mac ;
.B reload
.IR changes ,
a list of texts.
.B links list
prints, beside its list, the
.I generation
(a number that is another one after every change);
.B links explain
a list of
.I links
with
.I needs
(the names of those that each waits for);
.B links wait
.I ready
(true or false) and
.IR links ;
.B links watch
objects like those of
.BR watch ,
with
.I link
in place of
.IR master ;
.B links resync
.IR names ;
.B links release
.IR name ", " device " and " namespace ;
.B links graph
.IR namespaces ", " wires ", " stands_on " and " waits ;
.B links stats
.IR statistics ,
a list of objects with
.IR name ", " device ", " namespace
and counters:
COUNTERS.
.B check\\-config
prints
.I problems
.RI ( file ", " line ", " subject ", " text ),
.B install\\-service
the commands to run
.I next
(a list of texts).
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


_JSON = _JSON.replace("COUNTERS", ",\n".join(f"\\fI{roff(key)}\\fR" for key in COUNTERS))


def page() -> str:
    """The page, in the macros of man(7)."""
    own = [_HEAD, *_commands(), *_options(), *_exits(), *_json(), _JSON, *_examples(), _TAIL]
    return "\n".join([title("failoverctl", 8), *own])


def _json() -> Iterator[str]:
    yield ".SH JSON"
    yield roff(
        "Times are seconds. Keys may be added; none is taken away or changes its meaning within a release series. "
        "A byte of a name that is not UTF-8 is a lone surrogate from U+DC80 to U+DCFF."
    )
    for head, about_them, rows in _KEYS:
        yield f'.SS "{roff(head)}"'
        yield roff(about_them)
        for row in rows:
            if not row.asked:
                yield f".TP\n.I {roff(row.key)}"
                null = ", or null" if row.optional else ""
                yield roff(f"({row.type.json}{null}) {facts.sentence(row)}")


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    yield from _described(CTL)
    yield f".SS Commands of {roff(LINKS.name.partition(' ')[2])}"
    yield from _described(LINKS)


def _described(program: Program) -> Iterator[str]:
    for name, command in program.commands.items():
        yield f".TP\n{_call(name, command)}"
        yield roff(f"{sentence(command.summary)} {more_of(command)}")
        if command.options:
            yield ".RS"
            for option in command.options:
                yield from _option(option)
            yield ".RE"


def _call(name: str, command: Command) -> str:
    words = [f"\\fB{roff(name)}\\fR"]
    for word in command.takes:
        more = "..." if word.endswith("...") else ""
        is_free = word.startswith("[")
        italic = f"\\fI{word.removesuffix('...').strip('[]')}\\fR"
        words.append((f"[{italic}]" if is_free else italic) + more)
    return " ".join(words)


def _options() -> Iterator[str]:
    yield ".SH OPTIONS"
    for option in CTL.options:
        yield from _option(option)


def _option(option: Option) -> Iterator[str]:
    flags = ", ".join(f"\\fB{roff(flag)}\\fR" for flag in (option.letter, option.flag) if flag)
    yield f".TP\n{flags}" + (f" \\fI{option.value}\\fR" if option.value else "")
    yield roff(f"{', '.join(option.words)}: {option.about}" if option.words else option.about)


def _exits() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    codes = exit_codes(CTL)
    for name, command in LINKS.commands.items():
        for code, what in command.codes.items():
            own = f"links {name}: {what}"
            codes[code] = f"{codes[code]}; {own}" if code in codes else own
    for code, what in sorted(codes.items()):
        yield f".TP\n.B {code}\n{roff(what)}"


def _examples() -> Iterator[str]:
    yield ".SH EXAMPLES"
    plain = [command for name, command in CTL.commands.items() if name != "links"]
    for program, commands in ((CTL, plain), (LINKS, LINKS.commands.values())):
        for command in commands:
            for words, what in command.examples:
                yield f".TP\n\\fB{program.name} {roff(words)}\\fR\n{roff(what)}"
