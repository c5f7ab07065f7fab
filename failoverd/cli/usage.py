"""What --help says, from the table of commands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from failoverd.cli.commands import COMMANDS, EXIT_CODES, OPTIONS, STATUS_CODES, Command, Option

WIDTH = 100
ROOTS = "Root's to do, and nobody else's."
EXAMPLES = ("status", "explain", "drain", "release", "adopt")
"""The commands whose first example the general help shows."""


def usage(command: str) -> str:
    """One line: how it is called."""
    if not command:
        return "usage: failoverctl [--json] [--quiet] [--color WHEN] [COMMAND [ARGUMENT...]]"
    return f"usage: {' '.join(call_of(command))}"


def call_of(command: str) -> list[str]:
    """The words of a call: its name, arguments and own options."""
    known = COMMANDS[command]
    return ["failoverctl", command, *known.takes, *(f"[{shown(option)}]" for option in known.options)]


def help_text(command: str) -> str:
    """The help of a command, or of all ("")."""
    return "\n".join(_command(COMMANDS[command], command) if command else _all()) + "\n"


def shown(option: Option) -> str:
    """`-q, --quiet` or `--color WHEN`"""
    flags = f"{option.letter}, {option.flag}" if option.letter else option.flag
    return f"{flags} {option.value}" if option.value else flags


def sentence(summary: str) -> str:
    """A summary as a sentence."""
    return f"{summary[0].upper()}{summary[1:]}."


def about(command: Command) -> str:
    """What there is to say beyond the summary."""
    return f"{command.about} {ROOTS}" if command.changes else command.about


def exit_codes() -> dict[int, str]:
    """The exit codes of all commands, in order. What status has beside the others is said to be its own."""
    own = {code: f"status: {what}" for code, what in STATUS_CODES.items()}
    both = {code: f"{EXIT_CODES[code]}; {own[code]}" for code in own.keys() & EXIT_CODES.keys()}
    return dict(sorted({**EXIT_CODES, **own, **both}.items()))


def _all() -> Iterator[str]:
    yield usage("")
    yield "\nAsk a running failoverd, and tell it what to do.\n\ncommands:"
    yield from _columns([(" ".join([name, *command.takes]), command.summary) for name, command in COMMANDS.items()])
    yield "\noptions:"
    yield from _options(OPTIONS)
    yield "\nexamples:"
    firsts = [COMMANDS[name].examples[0] for name in EXAMPLES]
    yield from _columns([(f"failoverctl {words}", what) for words, what in firsts])
    yield from _exit_codes(exit_codes())
    yield "\nfailoverctl COMMAND --help says more about a command."


def _command(command: Command, name: str) -> Iterator[str]:
    yield usage(name)
    yield ""
    yield from textwrap.wrap(f"{sentence(command.summary)} {about(command)}", WIDTH)
    yield "\noptions:"
    yield from _options([*command.options, *OPTIONS])
    yield "\nexamples:"
    yield from _columns([(f"failoverctl {words}", what) for words, what in command.examples])
    yield from _exit_codes({**EXIT_CODES, **STATUS_CODES} if name == "status" else EXIT_CODES)


def _options(options: Sequence[Option]) -> list[str]:
    return _columns([(shown(option), _about(option)) for option in options])


def _about(option: Option) -> str:
    return f"{', '.join(option.words)}: {option.about}" if option.words else option.about


def _exit_codes(codes: Mapping[int, str]) -> Iterator[str]:
    yield "\nexit codes:"
    yield from _columns([(str(code), what) for code, what in sorted(codes.items())])


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = min(max(len(left) for left, _ in rows), 44)
    lines = []
    for left, right in rows:
        parts = textwrap.wrap(right, WIDTH - width - 4)
        lines.append(f"  {left:<{width}}  {parts[0]}")
        lines += [" " * (width + 4) + part for part in parts[1:]]
    return lines
