"""What happened, for people and for programs: a signal as a sentence, and as named facts.

Everybody who tells of signals (the journal, the log, the history) takes both from here, so that the same thing
has the same words and the same names everywhere.
"""

from __future__ import annotations

from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Signal
from failoverd.model.text import printable
from failoverd.policy.naming import is_passing_name

Facts = dict[str, str | int]

FAILED_OVER, RENAMED, JOINED, RELEASED = "failed-over", "renamed", "joined", "released"


def sentence(signal: Signal) -> str:
    """One printable line for the administrator."""
    match signal:
        case FailedOver(new=""):
            return printable(f"{signal.master}: nobody carries any more; {signal.old} was the last: {signal.reason}")
        case FailedOver(old=""):
            text = f"{signal.master}: {signal.new} carries: {signal.reason}"
            return printable(text + _silence(signal.silence))
        case FailedOver():
            text = f"{signal.master}: traffic moved from {signal.old} to {signal.new}: {signal.reason}"
            return printable(text + _silence(signal.silence))
        case LinkRenamed():
            of = f"the pair {signal.mac}" if is_passing_name(signal.master) else signal.master
            whose = "the master" if signal.role == "master" else f"the {signal.role} of {of}"
            return printable(f"{signal.new}: {whose} has this name now, it was {signal.old}")
        case Joined():
            carries = f"{signal.active} carries" if signal.active else "nobody carries"
            return printable(f"{signal.master}: joined, {carries}")
        case _:
            return printable(f"{signal.name}: released, its devices are as they were before")


def facts(signal: Signal) -> Facts:
    """What the signal says, by name. What does not apply is left out; names hold the bytes they have.

    `ifname` and `ifindex` are the device it is about: the slave that carries now, the device that was renamed, the
    master that was joined, the paravirtual NIC that was released. `role` is that device's.
    """
    match signal:
        case FailedOver():
            found: Facts = {
                "event": FAILED_OVER,
                "master": signal.master,
                "mac": signal.mac,
                "ifname": signal.new,
                "ifindex": signal.new_ifindex,
                "role": signal.role,
                "from": signal.old,
                "from_ifindex": signal.old_ifindex,
                "to": signal.new,
                "to_ifindex": signal.new_ifindex,
                "reason": signal.reason,
            }
        case LinkRenamed():
            found = {
                "event": RENAMED,
                "master": signal.master,
                "mac": signal.mac,
                "ifname": signal.new,
                "ifindex": signal.ifindex,
                "role": signal.role,
                "from": signal.old,
                "to": signal.new,
            }
        case Joined():
            found = {
                "event": JOINED,
                "master": signal.master,
                "mac": signal.mac,
                "ifname": signal.master,
                "ifindex": signal.ifindex,
                "role": "master",
                "active": signal.active,
                "active_ifindex": signal.active_ifindex,
                "active_role": signal.role,
            }
        case _:
            found = {
                "event": RELEASED,
                "master": signal.name,
                "mac": signal.mac,
                "ifname": signal.name,
                "ifindex": signal.ifindex,
            }
    told = {name: value for name, value in found.items() if value}
    if isinstance(signal, FailedOver):
        told["silence_usec"] = round(signal.silence * 1e6)
    return told


def _silence(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"; silent for {milliseconds:.{0 if milliseconds >= 100 else 1}f} ms" if seconds else ""
