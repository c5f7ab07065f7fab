"""Printing, when nobody may be there to read it.

The guest agent may give a command no standard streams, a pipeline may end early, a disk may be full. None of it may
change what a command has done, nor make Python say something of its own when it ends.
"""

from __future__ import annotations

import sys

from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.tables import each_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def never_choke() -> None:
    """From now on a character that the locale has no bytes for is shown as its number."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def complain(text: str, code: int) -> int:
    """Say on the standard error what is wrong. Returns the exit code."""
    try:
        print(each_line(f"failoverctl: {text}"), file=sys.stderr)
    except OSError:
        _close(2)
    return code


def say(lines: Sequence[str]) -> bool:
    """Print these lines. Returns whether they could be printed; a reader that went away has read what he wanted."""
    return not guarded(lambda: print("\n".join(lines), flush=True) or DONE)


def guarded(work: Callable[[], int]) -> int:
    """Do something that prints. Returns its exit code, or DONE where its reader went away, REFUSED where the output
    could not be written."""
    try:
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _close(1)
        return DONE
    except OSError as error:
        _close(1)
        return complain(f"cannot write the output: {error.strerror}", REFUSED)
    return code


def _close(number: int) -> None:
    """Python would try to write once more when it ends."""
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
