"""Printing to an output that may have no reader.

The guest agent may start a command without standard streams, a pipeline may end early, a disk may be full. None of it
may change what a command has done, nor make Python print an error of its own at exit.
"""

from __future__ import annotations

import sys

from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.tables import each_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def never_choke() -> None:
    """Show characters that the locale cannot encode as numbers, from now on."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def complain(text: str, code: int) -> int:
    """Print an error on the standard error. Returns the exit code."""
    try:
        print(each_line(f"failoverctl: {text}"), file=sys.stderr)
    except OSError:
        _close(2)
    return code


def say(lines: Sequence[str]) -> bool:
    """Print these lines. Returns whether they could be printed; a reader that has gone away counts as printed."""
    return not guarded(lambda: print("\n".join(lines), flush=True) or DONE)


def guarded(work: Callable[[], int]) -> int:
    """Run a function that prints. Returns its exit code, DONE if its reader went away, REFUSED if writing failed."""
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
    """Close a stream, so that Python does not try to write once more at exit."""
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
