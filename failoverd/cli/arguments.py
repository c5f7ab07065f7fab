"""The command line, read by the table of commands.

Not argparse's work: it takes as long to import and to be filled as the whole call, and abbreviates options besides.
Options may stand anywhere, as `--flag VALUE` or `--flag=VALUE`; behind `--` everything is an argument.
"""

from __future__ import annotations

from failoverd.cli.commands import COMMANDS, OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failoverd.cli.commands import Option


class UsageError(Exception):
    """Wrong usage; the text says what and what there is instead. `command` is the one it was said to, or ""."""

    def __init__(self, text: str, command: str = "") -> None:
        super().__init__(text)
        self.command = command


class Wanted:
    """What the command line says; `options` by flag, with "" as the value of one that takes none. `named` says that
    the command was named."""

    __slots__ = ("arguments", "command", "named", "options")

    def __init__(self, command: str, arguments: Sequence[str], options: Mapping[str, str]) -> None:
        self.command, self.named = command or "status", bool(command)
        self.arguments, self.options = arguments, options


def parse(words: Sequence[str]) -> Wanted:
    """Raises UsageError."""
    rest = list(words)
    options: dict[str, str] = {}
    arguments: list[str] = []
    command = ""
    only_arguments = False
    while rest:
        word = rest.pop(0)
        if word == "--" and not only_arguments:
            only_arguments = True
        elif word.startswith("-") and len(word) > 1 and not only_arguments:
            _take_option(word, rest, command, options)
        elif command:
            arguments.append(word)
        else:
            command = _known(word)
    wanted = Wanted(command, arguments, options)
    if not options.keys() & {"--help", "--version"}:
        _check(wanted)
    return wanted


def _take_option(word: str, rest: list[str], command: str, options: dict[str, str]) -> None:
    flag, equals, value = word.partition("=")
    option = _option(flag, command)
    if option is None:
        text = f"there is no option {flag}"
        raise UsageError(text + (f" to {command}" if command else " before the command"), command)
    if option.value and not equals:
        if not rest:
            raise UsageError(f"{flag} wants a value: {option.value}", command)
        value = rest.pop(0)
    elif equals and not option.value:
        raise UsageError(f"{flag} takes no value", command)
    if option.words and value not in option.words:
        raise UsageError(f"{flag} takes {', '.join(option.words)}, not {value!r}", command)
    if option.value == "SECONDS":
        _check_seconds(flag, value, command)
    options[option.flag] = value


def _option(flag: str, command: str) -> Option | None:
    own = COMMANDS[command].options if command else ()
    return next((option for option in (*own, *OPTIONS) if flag and flag in (option.flag, option.letter)), None)


def _check_seconds(flag: str, value: str, command: str) -> None:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{flag} takes a number of seconds, 0 or more, not {value!r}", command)


def _known(word: str) -> str:
    if word in COMMANDS:
        return word
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    raise UsageError(f"there is no command {word!r}; {hint}")


def _check(wanted: Wanted) -> None:
    takes = COMMANDS[wanted.command].takes
    needed = [name for name in takes if not name.startswith("[")]
    given = len(wanted.arguments)
    if given < len(needed):
        raise UsageError(f"{wanted.command} wants {' and '.join(needed)}", wanted.command)
    if given > len(takes):
        raise UsageError(f"{wanted.command} has no use for {wanted.arguments[len(takes)]!r}", wanted.command)
