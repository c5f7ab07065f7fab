"""The links that failoverd-etcd hands over, and what the daemon makes of them beside those of its files.

The snapshot is a file, which is whole at every moment: failoverd-etcd puts a new one in place of the last one. Files of
the configuration win over etcd, name by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from failoverd.config.links.across import MOST, TOO_MANY, contradictions, written
from failoverd.config.links.fleet import MALFORMED, NOT_ALLOWED, RefusedError, ends_of
from failoverd.config.spec import EtcdAllow
from failoverd.dataclass import dataclass
from failoverd.model.declared import Declared, End
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkState, LinkStatus

LARGEST_SNAPSHOT = 8 << 20
"""Bytes of the file. The values are 1 MiB at most, and JSON may need six bytes for one."""
LARGEST_CONTACT = 1 << 16
"""Bytes of the file that says how it stands with etcd."""
VERSION = 1
"""Of the file's form."""
CONTRADICTS = "contradicts"
"""The reason of a link that contradicts another one."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said of a name of etcd's beside, or in place of, how far its device is."""

    state: LinkState
    reason: str
    detail: str
    since: float
    where: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One link as etcd has it."""

    name: str
    where: str
    """Its key, for people."""

    value: str | None
    """What is in force; None if it never had a good value."""

    remark: Remark | None
    """Why that is not what etcd has now, if it is not."""

    since: float
    """Since when it is so, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The links of the files and of etcd."""

    declared: Declared
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    shadowed: Mapping[str, str] = field(default_factory=dict)
    """By name, the key in etcd of a declaration that a file's overrides."""

    def overlaid(self, rows: Sequence[LinkStatus]) -> list[LinkStatus]:
        """Return the status of each end, in the order of their names, with what is to be said of etcd's besides."""
        by_name = {row.name: row for row in rows}
        for name, where in self.shadowed.items():
            if name in by_name:
                by_name[name] = replace(by_name[name], shadows=where)
        for name, remark in self.remarks.items():
            row = by_name.get(name) or LinkStatus(name, "", "", "", remark.state, source=remark.where)
            by_name[name] = replace(
                row, state=remark.state, reason=remark.reason, detail=remark.detail, since=remark.since
            )
        return [row for _, row in sorted(by_name.items())]


def contact_in(raw: bytes) -> EtcdContact:
    """Return how it stands with etcd, as failoverd-etcd says it in a file. Raises ValueError for what is none."""
    try:
        tree = json.loads(raw)
        values = {field.name: tree[field.name] for field in fields(EtcdContact)}
        connected, since, endpoint, revision, trouble = values.values()
        if not (isinstance(connected, bool) and isinstance(since, int | float) and isinstance(revision, int)):
            raise TypeError("a type")
        return EtcdContact(connected, since, str(endpoint), revision, str(trouble))
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"it does not say how it stands with etcd: {error!r}") from None


def offers_in(raw: bytes) -> tuple[Offer, ...]:
    """Return what a snapshot offers. Raises ValueError for what is none."""
    try:
        tree = json.loads(raw)
        if tree["version"] != VERSION:
            raise ValueError(f"its version is {tree['version']!r}, and only {VERSION} is known")
        if len(tree["links"]) > MOST:
            raise ValueError(f"it has more than {MOST} links")
        return tuple(_offer(name, link) for name, link in sorted(tree["links"].items()))
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no snapshot: {error!r}") from None


def _offer(name: str, link: Mapping[str, Any]) -> Offer:
    value, since = link["value"], link["since"]
    texts = [link[key] for key in ("where", "state", "reason", "detail")]
    fits = isinstance(value, str | None) and isinstance(since, int | float)
    if not fits or not all(isinstance(text, str) for text in texts):
        raise TypeError(name)
    where, state, reason, detail = texts
    remark = Remark(LinkState(state), reason, detail, since, where) if state else None
    return Offer(name, where, value, remark, since)


def merged(files: Declared, offers: Sequence[Offer], allow: EtcdAllow) -> Merged:
    """Return the links of the files and those of etcd that fit beside them."""
    found: dict[str, tuple[End, ...]] = {}
    remarks: dict[str, Remark] = {}
    shadowed: dict[str, str] = {}
    for offer in offers:
        ends: tuple[End, ...] = ()
        remark = offer.remark
        try:
            ends = _ends(offer, allow)
        except RefusedError as error:
            state = LinkState.CONFLICT if error.reason == NOT_ALLOWED else LinkState.INVALID
            remark = Remark(state, error.reason, str(error), offer.since, offer.where)
        if taken := {offer.name, *(end.name for end in ends)} & files.keys():
            shadowed |= dict.fromkeys(taken, offer.where)
            continue
        if remark is not None:
            remarks[offer.name] = remark
        found[offer.name] = ends
    by_name = {offer.name: offer for offer in offers}
    while wrong := contradicting(files, found):
        for name, text in wrong.items():
            del found[name]
            offer = by_name[name]
            remarks[name] = Remark(LinkState.CONFLICT, CONTRADICTS, text, offer.since, offer.where)
    declared = {**files, **{end.name: end for ends in found.values() for end in ends}}
    return Merged(MappingProxyType(declared), remarks, shadowed)


def contradicting(files: Declared, found: Mapping[str, tuple[End, ...]]) -> dict[str, str]:
    """Return which links of `found` have to give way as they contradict others, and how.

    Of those that contradict each other it is the one that stands last in `found`; an end of `files` never gives way.
    """
    owners: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name, each in found.items():
        for end in each:
            if (first := owners.setdefault(end.name, name)) != name:
                wrong[name] = f"the other end of the link {first} is called {end.name}, too; rename it"
    if wrong:
        return wrong
    ends = {**files, **{end.name: end for each in found.values() for end in each}}
    if beyond := [owners[name] for name in islice(written(ends), MOST, None) if name in owners]:
        return dict.fromkeys(beyond, TOO_MANY)
    order = {name: number for number, name in enumerate(found)}
    for name, key, text, others in contradictions(ends):
        last = max((owners[one] for one in (name, *others) if one in owners), key=lambda one: order[one], default="")
        if last:
            told = text if owners.get(name) == last else f"with it, {key} of [link.{name}] is wrong: {text}"
            wrong.setdefault(last, told)
    return wrong


def _ends(offer: Offer, allow: EtcdAllow) -> tuple[End, ...]:
    """Raises RefusedError."""
    if offer.value is None:
        return ()
    try:
        return ends_of(offer.name, offer.value.encode(), offer.where, allow)
    except UnicodeEncodeError:
        raise RefusedError(MALFORMED, "it holds half of a character") from None
