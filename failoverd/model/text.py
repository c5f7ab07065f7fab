"""Names and other text from outside, made fit to be shown."""

from __future__ import annotations

HEX = frozenset("0123456789abcdef")


def is_passing_name(name: str) -> bool:
    """Whether this is `fo` and a MAC, the name of a master until it gets its NIC's, which is not shown to users."""
    return len(name) == 14 and name.startswith("fo") and HEX.issuperset(name[2:])


def printable(text: str) -> str:
    """Return the text as one line without terminal control sequences.

    Names may hold any byte. Text that is escaped already stays so.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def device_in(device: str, namespace: str) -> str:
    """Name a device and its network namespace, which is given as LinkStatus has it: "eth1 in the namespace red"."""
    by, _, value = namespace.partition(" ")
    return f"{device} in {PLACES[by].format(value)}" if by in PLACES else device


PLACES = {
    "name": "the namespace {}",
    "pid": "the namespace of process {}",
    "path": "the namespace {}",
    "container": "the container {}",
}
"""By the first word of a reference to a namespace: how a sentence names it."""
