"""The events of declared links, as rows of the table of signals (core/signal_table.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from failoverd.core.told import INFO, WARNING, Member, Told
from failoverd.model.facts import Row, Type
from failoverd.model.text import device_in

LINK: Row[Any] = Row("link", Type.LINK, "The end of a declared link, by its name.", lambda s: s.name)

DEVICE: tuple[Row[Any], ...] = (
    LINK,
    Row("kind", Type.TEXT, "Its kind, as declared.", lambda s: s.kind),
    Row("device", Type.TEXT, "The name of its device, as declared.", lambda s: s.device),
    Row(
        "namespace",
        Type.TEXT,
        'The network namespace, as declared: a word and a value, as "name red"; "own" for that of failoverd.',
        lambda s: s.namespace,
    ),
    Row("ifindex", Type.NUMBER, "The ifindex of its device.", lambda s: s.ifindex or None),
)
WHY: tuple[Row[Any], ...] = (
    Row("reason", Type.TEXT, "Why, as a word for programs.", lambda s: s.reason or None),
    Row("detail", Type.TEXT, "The same as a sentence, with what would end it.", lambda s: s.detail or None),
)


def _ready(s: Any) -> str:
    return f"link {s.name}: ready, {device_in(s.device, s.namespace)}"


def _say(what: str) -> Callable[[Any], str]:
    def say(s: Any) -> str:
        why = s.detail or s.reason
        return f"link {s.name}: {what.format(device=device_in(s.device, s.namespace))}{f': {why}' if why else ''}"

    return say


def _told(event: str, text: str, say: Callable[[Any], str], message_id: str, is_bad: bool = False) -> Told:
    """Return a row. All have the same fields, but for a link that is ready, of which there is nothing to explain."""
    name = "".join(word.capitalize() for word in event.split("-"))
    return Told(
        event,
        text,
        say,
        DEVICE if event == "link-ready" else DEVICE + WHY,
        (Member("Link", name, known=("link",)),),
        message_id,
        counter=event.replace("-", "_"),
        priority=lambda _: WARNING if is_bad else INFO,
        priorities="4, warning" if is_bad else "6, info",
    )


LINK_SIGNALS: dict[str, Told] = {
    "LinkReady": _told(
        "link-ready",
        "Everything declared of an end of a link is there, as the kernel has shown. Also told at each start, of a "
        "link that is ready.",
        _ready,
        "c3e006a6677646cd9683e6e78ab7ebd9",
    ),
    "LinkPending": _told(
        "link-pending",
        "An end of a declared link waits for something that is not there.",
        _say("waits"),
        "17ee51a934d94fca89a59f5e74054ea1",
    ),
    "LinkDegraded": _told(
        "link-degraded",
        "The device of a declared link is there, and something about it is not as declared.",
        _say("degraded, {device}"),
        "94d32d0ba8894cb29dc7bbd4ba5a67de",
        is_bad=True,
    ),
    "LinkConflict": _told(
        "link-conflict",
        "A foreign device, or another declaration, stands in the place of a declared link, which is not made.",
        _say("in conflict over {device}"),
        "80fee322d6d04e4097c0f5e562c744cf",
        is_bad=True,
    ),
    "LinkFailed": _told(
        "link-failed",
        "The kernel has refused a declared link. It is tried again.",
        _say("refused, {device}"),
        "8841bded80bd43d8ab1192b261b83a9a",
        is_bad=True,
    ),
    "LinkGoing": _told(
        "link-going",
        "failoverd is about to delete the device of a declared link. It waits a moment for the hooks ([links] "
        "going_wait).",
        _say("about to be deleted, {device}"),
        "b717add25a604b9d8edcc1abb2d0bb98",
    ),
    "LinkGone": _told(
        "link-gone",
        "The device of a declared link is gone: deleted by failoverd or by another program, or with its namespace.",
        _say("gone, {device}"),
        "cec5ff231d0946eea7f84339ee5969d6",
    ),
}
"""By the name of the signal's class."""
