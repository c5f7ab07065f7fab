"""Command lines: a table describes what a program takes, and `parse` reads a command line by it.

Every program has such a table; --help (cli/usage.py) and failoverctl's manual page are made from it as well. argparse
would be a second way to say the same, and takes twice the time of failoverctl's whole start (docs/measured.md).

Options may stand anywhere, as `--flag VALUE` or `--flag=VALUE`, and cannot be abbreviated; after `--` every word is an
argument. The classes are plain, as failoverctl reads its table at every start and importing `dataclasses` alone takes
longer than a call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


class UsageError(Exception):
    """Wrong usage; the text says what is wrong and what exists instead. `command` is the one it was said to, or ""."""

    def __init__(self, text: str, command: str = "") -> None:
        super().__init__(text)
        self.command = command


class Option:
    """`--flag` or `--flag VALUE`. `words` are the values it takes, if they are few; `read` converts a value, and raises
    ValueError with what is wrong with it."""

    __slots__ = ("about", "flag", "letter", "read", "value", "words")

    def __init__(
        self,
        flag: str,
        about: str,
        letter: str = "",
        value: str = "",
        words: Sequence[str] = (),
        read: Callable[[str], Any] = str,
    ) -> None:
        self.flag, self.about, self.letter, self.value, self.words, self.read = flag, about, letter, value, words, read


class Command:
    """A command. `takes` are its arguments as usage shows them: in square brackets if they may be left out, with ... at
    the end if they may be repeated. `about` is what --help says beyond the summary; `examples` are pairs of words and
    their effect. `changes`: it requires root. `codes`: exit codes of its own. `is_program`: it has commands of its own,
    in a table that is loaded only for it, so `parse` leaves the words behind it alone."""

    __slots__ = ("about", "changes", "codes", "examples", "is_program", "options", "summary", "takes")

    def __init__(
        self,
        takes: str,
        summary: str,
        about: str,
        examples: Sequence[tuple[str, str]],
        options: Sequence[Option] = (),
        changes: bool = False,
        codes: Mapping[int, str] | None = None,
        is_program: bool = False,
    ) -> None:
        self.takes, self.summary, self.about, self.is_program = takes.split(), summary, about, is_program
        self.examples, self.options, self.changes, self.codes = examples, options, changes, codes or {}


class Program:
    """A program. `options` are those of all commands; `usual` is the command if none is named. A program may have no
    commands. `notes` end its help."""

    __slots__ = ("codes", "commands", "examples", "name", "notes", "options", "summary", "usual")

    def __init__(
        self,
        name: str,
        summary: str,
        options: Sequence[Option],
        examples: Sequence[tuple[str, str]],
        codes: Mapping[int, str],
        commands: Mapping[str, Command] | None = None,
        usual: str = "",
        notes: str = "",
    ) -> None:
        self.name, self.summary, self.examples, self.codes, self.notes = name, summary, examples, codes, notes
        self.options, self.commands, self.usual = (*options, *ALWAYS), commands or {}, usual


ALWAYS = (
    Option("--help", "Print this help and end.", letter="-h"),
    Option("--version", "Print the version and end."),
)
"""The options of every program."""


class Wanted:
    """A parsed command line. `options` has the values by flag, "" for a flag alone; `named`: the command was named."""

    __slots__ = ("arguments", "command", "named", "options")

    def __init__(self, command: str, named: bool, arguments: Sequence[str], options: Mapping[str, Any]) -> None:
        self.command, self.named, self.arguments, self.options = command, named, arguments, options


def parse(program: Program, words: Sequence[str]) -> Wanted:
    """Parse a command line. Raises UsageError."""
    rest = list(words)
    options: dict[str, Any] = {}
    arguments: list[str] = []
    command = ""
    only_arguments = False
    while rest:
        word = rest.pop(0)
        if word == "--" and not only_arguments:
            only_arguments = True
        elif word.startswith("-") and len(word) > 1 and not only_arguments:
            _take_option(program, word, rest, command, options)
        elif command or not program.commands:
            arguments.append(word)
        else:
            command = _known(program, word)
            _check_options(program, command, options)
            if program.commands[command].is_program:
                arguments, rest = rest, []
    wanted = Wanted(command or program.usual, bool(command), arguments, options)
    if not options.keys() & {"--help", "--version"}:
        _check(program, wanted)
    return wanted


def seconds(text: str) -> float:
    """Return a value's number of seconds. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"{text!r} is no number of seconds, 0 or more")
    return number


def _take_option(program: Program, word: str, rest: list[str], command: str, options: dict[str, Any]) -> None:
    flag, equals, value = word.partition("=")
    option = _option(program, flag, command)
    if option is None:
        where = f" to {command}" if command else " before the command" if program.commands else ""
        raise UsageError(f"there is no option {flag}{where}", command)
    if option.value and not equals:
        if not rest:
            raise UsageError(f"{flag} wants a value: {option.value}", command)
        value = rest.pop(0)
    elif equals and not option.value:
        raise UsageError(f"{flag} takes no value", command)
    if option.words and value not in option.words:
        raise UsageError(f"{flag} takes {', '.join(option.words)}, not {value!r}", command)
    try:
        options[option.flag] = option.read(value)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}", command) from None


def _option(program: Program, flag: str, command: str) -> Option | None:
    named = command or program.usual
    own = program.commands[named].options if named else ()
    return next((option for option in (*own, *program.options) if flag and flag in (option.flag, option.letter)), None)


def _check_options(program: Program, command: str, options: Mapping[str, Any]) -> None:
    """Check that options that came before the command are its own, too: until then they may be the usual one's."""
    for flag in options:
        if _option(program, flag, command) is None:
            raise UsageError(f"there is no option {flag} to {command}", command)


def _known(program: Program, word: str) -> str:
    if word in program.commands:
        return word
    from difflib import get_close_matches

    near = get_close_matches(word, program.commands, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(program.commands)}"
    raise UsageError(f"there is no command {word!r}; {hint}")


def _check(program: Program, wanted: Wanted) -> None:
    if program.commands and not wanted.command:
        raise UsageError(f"{program.name} wants a command; there are {', '.join(program.commands)}")
    takes = program.commands[wanted.command].takes if wanted.command else []
    needed = [name.removesuffix("...") for name in takes if not name.startswith("[")]
    given = len(wanted.arguments)
    if given < len(needed):
        raise UsageError(f"{wanted.command} wants {' and '.join(needed)}", wanted.command)
    if given > len(takes) and not (takes and takes[-1].endswith("...")):
        text = f"{wanted.command or program.name} has no use for {wanted.arguments[len(takes)]!r}"
        raise UsageError(text, wanted.command)
