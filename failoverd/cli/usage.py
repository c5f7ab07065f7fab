"""Help and usage errors of a program, made from its table."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from failoverd import __version__
from failoverd.cli.arguments import ALWAYS, Command, Option, Program, UsageError, Wanted, parse

WIDTH = 100
ROOTS = "Requires root."
DONE, WRONG_USAGE = 0, 2


def begin(program: Program, argv: Sequence[str] | None) -> Wanted | int:
    """Parse the command line. Returns what it asks for, or an exit code after an error, --help or --version."""
    try:
        wanted = parse(program, sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        print(f"{program.name}: {wrong(program, error)}", file=sys.stderr)
        return WRONG_USAGE
    if wanted.options.keys() & {"--help", "--version"}:
        print(about(program, wanted))
        return DONE
    return wanted


def wrong(program: Program, error: UsageError) -> str:
    """Return what was wrong, and the right usage."""
    more = f"{program.name} {error.command} --help" if error.command else f"{program.name} --help"
    return f"{error}; {more} says more\n{usage(program, error.command)}"


def about(program: Program, wanted: Wanted) -> str:
    """Return the text for --help or --version."""
    if "--version" in wanted.options:
        return f"{program.name} {__version__}"
    named = wanted.command if wanted.named else ""
    return "\n".join(_command(program, named) if named else _all(program))


def usage(program: Program, command: str) -> str:
    """Return the usage in one line."""
    return f"usage: {' '.join(call_of(program, command))}"


def call_of(program: Program, command: str) -> list[str]:
    """Return the words of a call: its name, arguments and own options."""
    if command:
        known = program.commands[command]
        return [program.name, command, *known.takes, *(f"[{shown(option)}]" for option in known.options)]
    own = [f"[{option.flag} {option.value}".rstrip() + "]" for option in program.options if option not in ALWAYS]
    last = ("[COMMAND [ARGUMENT...]]" if program.usual else "COMMAND [ARGUMENT...]") if program.commands else ""
    return [word for word in (program.name, *own, last) if word]


def shown(option: Option) -> str:
    """Format an option: `-q, --quiet` or `--color WHEN`."""
    flags = f"{option.letter}, {option.flag}" if option.letter else option.flag
    return f"{flags} {option.value}" if option.value else flags


def sentence(summary: str) -> str:
    """Return a summary as a sentence."""
    return f"{summary[0].upper()}{summary[1:]}."


def more_of(command: Command) -> str:
    """Return what there is to say beyond the summary."""
    return f"{command.about} {ROOTS}" if command.changes else command.about


def exit_codes(program: Program) -> dict[int, str]:
    """Return the exit codes of all commands, in order; a code of a single command names that command."""
    codes = dict(program.codes)
    for name, command in program.commands.items():
        for code, what in command.codes.items():
            own = f"{name}: {what}"
            codes[code] = f"{codes[code]}; {own}" if code in codes else own
    return dict(sorted(codes.items()))


def _all(program: Program) -> Iterator[str]:
    yield usage(program, "")
    yield ""
    yield from textwrap.wrap(program.summary, WIDTH)
    if program.commands:
        yield "\ncommands:"
        rows = [(" ".join([name, *command.takes]), command.summary) for name, command in program.commands.items()]
        yield from _columns(rows)
    yield "\noptions:"
    yield from _options(program.options)
    yield from _examples(program, program.examples)
    yield from _exit_codes(exit_codes(program))
    if program.notes:
        yield f"\n{program.notes.rstrip()}"
    if program.commands:
        yield f"\n{program.name} COMMAND --help says more about a command."


def _command(program: Program, name: str) -> Iterator[str]:
    command = program.commands[name]
    yield usage(program, name)
    yield ""
    yield from textwrap.wrap(f"{sentence(command.summary)} {more_of(command)}", WIDTH)
    yield "\noptions:"
    yield from _options([*command.options, *program.options])
    yield from _examples(program, command.examples)
    yield from _exit_codes({**program.codes, **command.codes})


def _options(options: Sequence[Option]) -> list[str]:
    return _columns([(shown(option), _about(option)) for option in options])


def _about(option: Option) -> str:
    return f"{', '.join(option.words)}: {option.about}" if option.words else option.about


def _examples(program: Program, examples: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "\nexamples:"
    yield from _columns([(f"{program.name} {words}".rstrip(), what) for words, what in examples])


def _exit_codes(codes: Mapping[int, str]) -> Iterator[str]:
    yield "\nexit codes:"
    yield from _columns([(str(code), what) for code, what in sorted(codes.items())])


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = min(max(len(left) for left, _ in rows), 48)
    lines = []
    for left, right in rows:
        parts = textwrap.wrap(right, WIDTH - width - 4)
        lines.append(f"  {left:<{width}}  {parts[0]}")
        lines += [" " * (width + 4) + part for part in parts[1:]]
    return lines
