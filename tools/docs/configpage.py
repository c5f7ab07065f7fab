"""docs/reference/configuration.md and failoverd.toml.example, from the table of keys."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import linkkeys

from failoverd.config.keys import Entry, header, table
from failoverd.config.kinds import show
from failoverd.config.load import MAIN
from failoverd.config.spec import Config

_INTRODUCTION = f"""\
# Configuration

<!-- Made by `make docs` from failoverd/config/spec.py, residence.py and links/spec.py; edit these. -->

failoverd runs without any configuration. Where a default does not suit, say so in TOML:

- `{MAIN}`, and after it
- every `*.toml` in `{MAIN}.d/`, in the order of their names (a name that begins with a
  dot is passed over).

All are optional. Files are laid over each other key by key, the tables of links and masters too: what a later file
gives replaces what an earlier one gave, and a list replaces the whole list. A drop-in that is a symbolic link to
`/dev/null` says nothing.
A file has at most 64 KiB, all files together 1 MiB; only regular files are read. Of each file the first 20 mistakes are
named.

`failoverd --check-config` reads the files, names everything that is wrong with them, and changes nothing.
`failoverd --config FILE` reads FILE, which must then exist, and `FILE.d/` instead.

Unknown sections and keys, values of a wrong type and values out of limits are refused, all of them at once,
each with its file and line:

    {MAIN}:3: [bond] miimom: no such key; did you mean miimon?
    {MAIN}:7: [failback] hold_down: -1 is too small; give a number from 0 to 3600 (seconds)

`systemctl reload failoverd` (SIGHUP) makes a running daemon read its files anew. When they are refused, it says
so in its log and keeps the configuration it has.

## Examples

Leave the NICs of a storage network alone, and be slower to trust a VF on a cloud that flaps its links:

```toml
# {MAIN}.d/50-storage.toml
[pairing]
ignore = ["eth2", "stor*", "52:54:00:12:34:56"]

[failback]
hold_down = 30
```

Make masters before any VF was ever seen, as an image for a cloud whose guests get their VFs late would:

```toml
[master]
create = "always"
```
"""


def page() -> str:
    """The reference page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_page_lines(), *_master_page_lines(), *_link_page_lines()])


def example() -> str:
    """The example file: every key, commented out, with its default."""
    headline = f"# {MAIN}: every key with its default. Nothing here has to be given.\n"
    return "\n".join([headline, *_example_lines(), *_master_example_lines(), *_link_example_lines()])


def _page_lines() -> Iterator[str]:
    for section, keys in table(Config).items():
        yield f"## [{'.'.join(header(section))}]\n"
        yield f"{_section_doc(section)}\n"
        for entry in keys.values():
            yield f"### {entry.name}\n"
            yield _wrap(entry.doc, "")
            yield f"\nGive {entry.kind.describe()}. Default: `{_default(entry)}`\n"


def _example_lines() -> Iterator[str]:
    for section, keys in table(Config).items():
        yield f"# {_section_doc(section)}\n[{'.'.join(header(section))}]\n"
        for entry in keys.values():
            about = f"{entry.doc} Give {entry.kind.describe()}."
            yield _wrap(about, "# ")
            yield f"#{entry.name} = {_default(entry)}\n"


def _master_page_lines() -> Iterator[str]:
    yield from _table_page_lines("master", linkkeys.about_master(), linkkeys.MASTER_EXAMPLE, linkkeys.master_rows())


def _link_page_lines() -> Iterator[str]:
    yield from _table_page_lines("link", linkkeys.about(), linkkeys.EXAMPLES, linkkeys.rows())


def _table_page_lines(word: str, about: str, examples: str, rows: Iterable[linkkeys.Row]) -> Iterator[str]:
    yield f"## [{word}.NAME]\n\n{_wrap(about, '')}\n"
    yield f"```toml\n{examples}```\n"
    for row in rows:
        yield f"### {row.name}\n"
        yield _wrap(row.text, "") + (f" Default: `{row.default}`\n" if row.default else "\n")


def _master_example_lines() -> Iterator[str]:
    yield from _table_example_lines("master", linkkeys.about_master(), linkkeys.MASTER_EXAMPLE, linkkeys.master_rows())


def _link_example_lines() -> Iterator[str]:
    yield from _table_example_lines("link", linkkeys.about(), linkkeys.EXAMPLES, linkkeys.rows())


def _table_example_lines(word: str, about: str, examples: str, rows: Iterable[linkkeys.Row]) -> Iterator[str]:
    yield _wrap(f"[{word}.NAME]: {about} The keys:", "# ") + "\n#"
    for row in rows:
        default = f" Default: {row.default}" if row.default else ""
        yield textwrap.fill(
            f"{row.name}: {row.text}{default}",
            100,
            initial_indent="# - ",
            subsequent_indent="#   ",
            break_on_hyphens=False,
        )
    yield "#\n# Examples:\n"
    yield "\n".join(f"#{line}" if line else "" for line in examples.splitlines()) + "\n"


def _section_doc(section: str) -> str:
    return (getattr(Config(), section).__doc__ or "").strip()


def _default(entry: Entry) -> str:
    return show(entry.default, longest=1000)


def _wrap(text: str, margin: str) -> str:
    return textwrap.fill(text, 100, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
