"""The manual page failoverd.toml(5), made from the table of keys. `make docs` writes it; a test compares.

python3 -m failoverd.config.manual > docs/man/failoverd.toml.5
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from failoverd import __version__
from failoverd.config.keys import table
from failoverd.config.kinds import show
from failoverd.config.load import MAIN
from failoverd.config.spec import Config

DATE = "2026-11-21"
"""When the manual pages were last gone through."""

_HEAD = f"""\
.SH NAME
failoverd.toml \\- configuration of failoverd
.SH SYNOPSIS
.I {MAIN}
.br
.I {MAIN}.d/*.toml
.SH DESCRIPTION
failoverd runs without any configuration.
Where a default does not suit, say so in TOML, in the main file or in drop-ins beside it; all are optional.
The user failoverd has to be able to read what is there.
Files are laid over each other key by key, the drop-ins in the order of their names: what a later file gives replaces
what an earlier one gave, and a list replaces the whole list.
A drop-in that is a symbolic link to
.I /dev/null
says nothing, and one whose name begins with a dot is passed over.
.PP
Unknown sections and keys, values of a wrong type and values out of limits are refused, all of them at once, each with
its file and line.
.B failoverctl check\\-config
reads the files and names everything that is wrong with them;
.B failoverctl reload
(and
.BR "systemctl reload failoverd" )
has a running failoverd take them, or keep what it has when they are refused.
"""

_TAIL = f"""\
.SH EXAMPLES
Leave the NICs of a storage network alone, and be slower to trust a VF on a cloud that flaps its links:
.PP
.RS 4
.EX
# {MAIN}.d/50-storage.toml
[pairing]
ignore = ["eth2", "stor*", "52:54:00:12:34:56"]

[failback]
hold_down = 30
.EE
.RE
.SH SEE ALSO
.BR failoverd (8),
.BR failoverctl (8)
"""


def page() -> str:
    """The page, in the macros of man(7)."""
    return "\n".join([title("failoverd.toml", 5), _HEAD.rstrip("\n"), *_keys(), _TAIL])


def title(name: str, section: int) -> str:
    """The first lines of a page that is made from the code."""
    return f'.\\" Made by `make docs`.\n.TH {name.upper()} {section} "{DATE}" "failoverd {__version__}" "failoverd"'


def roff(text: str) -> str:
    """A text as roff reads it: nothing in it is a request or an escape, and a hyphen is what it is on a keyboard."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def _keys() -> Iterator[str]:
    for section, keys in table(Config).items():
        about = (getattr(Config(), section).__doc__ or "").strip()
        yield f'.SH "[{section}]"'
        yield roff(about)
        for entry in keys.values():
            yield f".TP\n.B {roff(entry.name)}"
            yield roff(entry.doc)
            yield ".br"
            yield roff(f"Give {entry.kind.describe()}. Default: {show(entry.default, longest=1000)}")


if __name__ == "__main__":
    sys.stdout.write(page())
