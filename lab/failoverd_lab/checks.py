"""Check whether an expected state has come about: one small function for each key of `see`.

Each returns what it saw as well as its judgement, because a failure is useful only with the value. The daemon's own
view is never enough where the kernel can be asked: names, MACs, MTUs, addresses and ifindexes are the kernel's, found
by the ifindex that the daemon names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from failoverd.config.kinds import show
from failoverd_lab.story import DIRECTIONS

Links = Sequence[Mapping[str, Any]]
Verdict = tuple[bool, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One expectation judged: its key and value, whether it held, and what was seen."""

    expected: str
    ok: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of earlier looks: each NIC's (and the master's) first ifindex, and NICs while in no master."""

    ifindexes: dict[str, int] = field(default_factory=dict)
    free: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def note(self, look: Look) -> None:
        """Record what is new in this look."""
        for link in look.links:
            if link["nic"]:
                self.ifindexes.setdefault(link["nic"], link["ifindex"])
                if not link["master"]:
                    self.free.setdefault(link["nic"], link)
        if len(look.masters) == 1 and look.masters[0]["ifindex"]:
            self.ifindexes.setdefault("master", look.masters[0]["ifindex"])


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a world: the daemon's status document (None: not running), the kernel's links, the declared ones."""

    status: Mapping[str, Any] | None
    links: Links
    memory: Memory
    declared: Links = ()

    @property
    def masters(self) -> Links:
        """The masters in the daemon's status."""
        return () if self.status is None else self.status["masters"]

    def nic(self, nic: str) -> Mapping[str, Any] | None:
        """Return the link of this NIC of the story, None if it is not there."""
        return next((link for link in self.links if link["nic"] == nic), None)

    def missing_master(self) -> str:
        """Return why there is not exactly one master, or ""."""
        if self.status is None:
            return "the daemon is not running"
        names = ", ".join(master["name"] for master in self.masters)
        return "" if len(self.masters) == 1 else f"{len(self.masters)} masters {names}".strip()

    def master_link(self) -> Mapping[str, Any]:
        """Return the kernel's view of the master; empty when it has no such device."""
        index = self.masters[0]["ifindex"]
        return next((link for link in self.links if link["ifindex"] == index), {})


def see(what: Mapping[str, Any], look: Look) -> list[Answer]:
    """Judge every key of a `see` in one look."""
    return [Answer(f"{key} = {tell(want)}", *SEE[key](want, look)) for key, want in what.items()]


def tell(want: object) -> str:
    """Return an expectation's value as it stands in the file; bounds that are the same both ways appear once."""
    if isinstance(want, Mapping):
        if tuple(want) == DIRECTIONS and want[DIRECTIONS[0]] == want[DIRECTIONS[1]]:
            return show(want[DIRECTIONS[0]])
        return "{" + ", ".join(f"{key} = {show(value)}" for key, value in want.items()) + "}"
    return show(want)


def _active(want: str, look: Look) -> Verdict:
    if missing := look.missing_master():
        return False, missing
    name = look.masters[0]["active"]
    seen = next((link["nic"] or name for link in look.links if link["name"] == name), name) or "none"
    return seen == want, str(seen)


def _state(want: str, look: Look) -> Verdict:
    if missing := look.missing_master():
        return False, missing
    master = look.masters[0]
    seen, reason = master["state"], master.get("reason", "")
    return seen == want, f"{seen} ({reason})" if reason else seen


def _masters(want: int, look: Look) -> Verdict:
    if look.status is None:
        return False, look.missing_master()
    return len(look.masters) == want, " ".join([str(len(look.masters)), *(m["name"] for m in look.masters)])


def _master(want: Mapping[str, Any], look: Look) -> Verdict:
    if missing := look.missing_master():
        return False, missing
    link = look.master_link()
    if not link:
        return False, "the kernel has no such device"
    seen = {key: link["addresses"] if key == "address" else link[key] for key in want}
    ok = all(value in seen[key] if key == "address" else value == seen[key] for key, value in want.items())
    return ok, ", ".join(f"{key} = {show(value)}" for key, value in seen.items())


def _took_over(want: str, look: Look) -> Verdict:
    if missing := look.missing_master():
        return False, missing
    before = look.memory.free.get(want)
    if before is None:
        return False, f"{want} was never seen outside a master; begin the story before the pair is complete"
    now = look.master_link() or {"name": "", "mac": "", "addresses": ()}
    lacks = [key for key in ("name", "mac") if now[key] != before[key]]
    lacks += [address for address in _lasting(before["addresses"]) if address not in now["addresses"]]
    if lacks:
        return False, f"{now['name'] or 'no master'} lacks {want}'s " + ", ".join(lacks)
    return True, ", ".join([now["name"], now["mac"], *_lasting(now["addresses"])])


def _lasting(addresses: Sequence[str]) -> list[str]:
    """Return the configured addresses; a link-local one is made, and made anew, by the kernel."""
    return [text for text in addresses if not ipaddress.ip_interface(text).is_link_local]


def _standby_name(want: str, look: Look) -> Verdict:
    if missing := look.missing_master():
        return False, missing
    master = look.masters[0]
    standby = master["standby"] or {"name": "no standby", "ifindex": 0}
    wanted = master["name"] if standby["ifindex"] == master["ifindex"] else want.replace("{master}", master["name"])
    return standby["name"] == wanted, standby["name"]


def _names(want: Mapping[str, str], look: Look) -> Verdict:
    if missing := look.missing_master():
        return False, missing
    master = look.masters[0]["name"]
    seen = {nic: (look.nic(nic) or {"name": "not there"})["name"] for nic in want}
    ok = all(seen[nic] == name.replace("{master}", master) for nic, name in want.items())
    return ok, ", ".join(f"{nic} {name}" for nic, name in seen.items())


def _same_ifindexes(want: Sequence[str], look: Look) -> Verdict:
    parts, ok = [], True
    for who in want:
        first = look.memory.ifindexes.get(who)
        link = look.nic(who) if who != "master" else None
        if who == "master" and len(look.masters) == 1:
            link = look.master_link()
        now = (link or {}).get("ifindex")
        ok = ok and now is not None and now == first
        parts.append(f"{who} {now or 'gone'}" if now == first else f"{who} {now or 'gone'}, was {first}")
    return ok, "; ".join(parts)


def _of_nics(want: Mapping[str, str], look: Look, key: str, match: Callable[[str, str], bool]) -> Verdict:
    """Check the daemon's value of `key` for some NICs."""
    if look.status is None:
        return False, look.missing_master()
    told = {nic["ifindex"]: nic for nic in look.status["nics"]}
    parts, ok = [], True
    for nic, value in want.items():
        link = look.nic(nic)
        about = told.get(link["ifindex"]) if link else None
        ok = ok and about is not None and match(value, about[key])
        why = f"{about['verdict']} ({about['reason']})" if about else "not known to the daemon" if link else "not there"
        parts.append(f"{nic} {why}")
    return ok, "; ".join(parts)


def _verdict(want: Mapping[str, str], look: Look) -> Verdict:
    return _of_nics(want, look, "verdict", lambda value, seen: value == seen)


def _reason(want: Mapping[str, str], look: Look) -> Verdict:
    return _of_nics(want, look, "reason", lambda value, seen: value.lower() in seen.lower())


def _link(want: Mapping[str, str], look: Look) -> Verdict:
    if look.status is None:
        return False, look.missing_master()
    told = {row["name"]: row for row in look.declared}
    parts, ok = [], True
    for name, value in want.items():
        row = told.get(name)
        state, _, reason = value.partition(" ")
        ok = ok and row is not None and row["state"] == state and reason in ("", row["reason"])
        parts.append(f"{name} {row['state']} {row['reason']}".strip() if row else f"{name} is not declared")
    return ok, "; ".join(parts)


def _daemon(want: str, look: Look) -> Verdict:
    seen = "stopped" if look.status is None else "running"
    return seen == want, seen


SEE: Mapping[str, Callable[[Any, Look], Verdict]] = {
    "active": _active,
    "state": _state,
    "masters": _masters,
    "master": _master,
    "took_over": _took_over,
    "standby_name": _standby_name,
    "names": _names,
    "same_ifindexes": _same_ifindexes,
    "verdict": _verdict,
    "reason": _reason,
    "link": _link,
    "daemon": _daemon,
}
