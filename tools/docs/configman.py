"""The manual page failoverd.toml(5), from the table of keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import linkkeys
from roff import roff, title

from failoverd.config.keys import header, table
from failoverd.config.kinds import show
from failoverd.config.load import MAIN
from failoverd.config.spec import Config

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
A file has at most 64 KiB, all files together 1 MiB, and only regular files are read.
.PP
Unknown sections and keys, values of a wrong type and values out of limits are refused, all of them at once (the first
20 of each file), each with its file and line.
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
    return "\n".join([title("failoverd.toml", 5), _HEAD.rstrip("\n"), *_keys(), *_master_keys(), *_link_keys(), _TAIL])


def _keys() -> Iterator[str]:
    for section, keys in table(Config).items():
        about = (getattr(Config(), section).__doc__ or "").strip()
        yield f'.SH "[{".".join(header(section))}]"'
        yield roff(about)
        for entry in keys.values():
            yield f".TP\n.B {roff(entry.name)}"
            yield roff(entry.doc)
            yield ".br"
            yield roff(f"Give {entry.kind.describe()}. Default: {show(entry.default, longest=1000)}")


def _master_keys() -> Iterator[str]:
    return _table_keys("master", linkkeys.about_master(), linkkeys.master_rows(), linkkeys.MASTER_EXAMPLE)


def _link_keys() -> Iterator[str]:
    return _table_keys("link", linkkeys.about(), linkkeys.rows(), linkkeys.EXAMPLES)


def _table_keys(word: str, about: str, rows: Iterable[linkkeys.Row], examples: str) -> Iterator[str]:
    yield f'.SH "[{word}.NAME]"'
    yield roff(about)
    for row in rows:
        yield f".TP\n.B {roff(row.name)}"
        yield roff(row.text)
        if row.default:
            yield ".br"
            yield roff(f"Default: {row.default}")
    yield ".PP\n.RS 4\n.EX"
    yield "\n".join(line.replace("\\", "\\e") for line in examples.splitlines())
    yield ".EE\n.RE"
