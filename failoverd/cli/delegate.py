"""Commands whose options argparse reads. There is time to load it where there is time for what they do."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn

from failoverd.cli.arguments import UsageError, Wanted
from failoverd.cli.commands import COMMANDS


def delegate(wanted: Wanted, add_options: Callable[[ArgumentParser], None], run: Callable[[Namespace], int]) -> int:
    """Have the options that the table has for this command taken by argparse, for their values' sake, and carry it out.
    Returns the exit code. Raises UsageError."""

    class Parser(ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UsageError(message, wanted.command)

    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", default="--json" in wanted.options)
    add_options(parser)
    own = {option.flag: option for option in COMMANDS[wanted.command].options}
    given = {flag: value for flag, value in wanted.options.items() if flag in own}
    options = parser.parse_args([f"{flag}={value}" if own[flag].value else flag for flag, value in given.items()])
    if "--quiet" not in wanted.options:
        return run(options)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        return run(options)
