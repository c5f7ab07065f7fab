"""Commands that another program carries out, which is a package of its own: failoverd-etcd."""

from __future__ import annotations

import os
from collections.abc import Sequence

from failoverd.cli.arguments import Program, Wanted
from failoverd.cli.client import NotDoneError
from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.output import say

PROGRAM = "failoverd-etcd"


def hand_over(own: Program, wanted: Wanted) -> int:
    """Become that program, with the command and all its words; but print the help of `own`, which needs no other.

    Raises NotDoneError if it is not there.
    """
    if {"--help", "-h"} & set(wanted.arguments):
        from failoverd.cli.usage import about

        return DONE if say([about(own, Wanted(wanted.command, True, (), {"--help": ""}))]) else REFUSED
    words = [*_options(wanted), wanted.command, *wanted.arguments]
    try:
        os.execvp(PROGRAM, [PROGRAM, *words])  # noqa: S606 - there is nothing for a shell to do
    except OSError as error:
        text = f"{PROGRAM} cannot be run ({error.strerror}); it is a package of its own: apt install {PROGRAM}"
        raise NotDoneError(text) from None


def _options(wanted: Wanted) -> Sequence[str]:
    """Return the options that stood before the command, as far as that program has them."""
    return [flag for flag in ("--json", "--quiet") if flag in wanted.options]
