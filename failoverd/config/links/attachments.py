"""Links that failoverd-cni has made for pods: a JSON object for each, with the keys of [link.NAME] and its owner's.

They are the third source of declared links, laid under the files' and etcd's. Each stands on a failover master. One
that names a `vlan` beside stands on that VLAN of the master instead, in failoverd's own namespace: such a VLAN is
derived from the attachments that share it, so it is there for exactly as long as one of them is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from failoverd.config.errors import ConfigError
from failoverd.config.kinds import InvalidValueError, show
from failoverd.config.links.ends import says
from failoverd.config.links.fleet import OUT_OF_LIMITS, UNKNOWN_KEY, WRONG_VALUE, RefusedError, parsed
from failoverd.config.links.read import KEYS, declared_from
from failoverd.config.links.snapshot import CONTRADICTS, Merged, Remark, contradicting
from failoverd.config.links.spec import STACKED
from failoverd.config.links.values import plain
from failoverd.dataclass import dataclass
from failoverd.model.declared import OWN, DeviceRef, End
from failoverd.model.linkstatus import LinkState, LinkStatus

OWNERS = ("pod", "container", "network")
"""The keys of `owner`. The pod is not always known, the others are."""
LONGEST = 253
"""Characters of each of them: those of Kubernetes' longest names."""
SHARING = ("macvlan", "ipvlan")
"""The kinds of which several can stand on one VLAN."""
TAG = ("id", "protocol")
"""The keys of `vlan`: those of a [link.NAME] of this kind."""
PAIR = "pair"
"""The kind of an attachment that is no link: the master itself is moved into the pod (daemon/podpairs.py)."""
PAIR_KEYS = ("lower", "namespace", "device")
"""The keys that such a one has, besides kind and owner."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One pod's link."""

    end: End
    shared: End | None = None
    """The VLAN that it stands on, which others may share; None where it stands on the master itself."""

    since: float = 0.0
    """When it was declared, in seconds since the epoch."""

    @property
    def master(self) -> str:
        """The failover master, by the name or MAC that the declaration has."""
        lower = (self.shared or self.end).lower
        return lower.value if lower is not None else ""

    @property
    def is_pair(self) -> bool:
        """Whether the master itself is in the pod."""
        return self.end.kind == PAIR

    @property
    def pod(self) -> str:
        """The pod, with its network, as people know it."""
        return f"{self.end.owner} ({self.end.network})"


Attachments = Mapping[str, Attachment]
"""The attachments by their names."""


def attachment_of(name: str, raw: bytes, since: float = 0.0) -> Attachment:
    """Return what a document declares. Raises RefusedError, which names the key and what to do."""
    where = f"attachment {name}"
    keys = dict(parsed(raw))
    owner = _owner(where, keys.pop("owner", None))
    tag = keys.pop("vlan", None)
    pod = owner["pod"] or owner["container"]
    is_pair = keys.get("kind") == PAIR
    end = _pair(name, keys, where) if is_pair else _end(name, keys, where)
    end = replace(end, owner=pod, network=owner["network"], source=f"attached for {pod}")
    if not is_pair and end.kind not in STACKED:
        kinds = ", ".join(map(says, STACKED))
        text = f"{where}: kind: {says(end.kind)} cannot be attached; give one of {kinds}, {PAIR}"
        raise RefusedError(WRONG_VALUE, text)
    if end.lower is None or end.lower.by != "master":
        raise RefusedError(WRONG_VALUE, f'{where}: lower: {end.lower} is no failover master; give "master:NAME"')
    if end.namespace == OWN:
        raise RefusedError(WRONG_VALUE, f"{where}: namespace is missing; give the pod's")
    shared = _shared(end, tag, where) if tag is not None else None
    return Attachment(end, shared, since)


def _end(name: str, keys: Mapping[str, Any], where: str) -> End:
    try:
        ends = declared_from(name, keys, where)
    except ConfigError as error:
        unknown = any("no such key" in problem.text for problem in error.problems)
        raise RefusedError(UNKNOWN_KEY if unknown else WRONG_VALUE, str(error)) from None
    if not ends:
        raise RefusedError(WRONG_VALUE, f"{where}: enabled: false declares nothing; remove it, or detach {name}")
    return ends[0]


def _pair(name: str, keys: Mapping[str, Any], where: str) -> End:
    """Return the end that stands for a master in a pod. Its keys are read as those of a device on the master."""
    if unknown := keys.keys() - {"kind", *PAIR_KEYS}:
        raise RefusedError(UNKNOWN_KEY, f"{where}: {min(unknown)}: a {PAIR} has only {', '.join(PAIR_KEYS)}")
    end = _end(name, {**keys, "kind": SHARING[0]}, where)
    return replace(end, kind=PAIR, options=None)


def _shared(end: End, tag: object, where: str) -> End:
    """Return the VLAN of the master that an end stands on."""
    if end.kind not in SHARING:
        raise RefusedError(WRONG_VALUE, f"{where}: vlan: {says(end.kind)} shares none; remove it, or give an ipvlan")
    if not isinstance(tag, Mapping) or not tag.keys() <= set(TAG):
        raise RefusedError(WRONG_VALUE, f"{where}: vlan: {show(tag)} is no object with {' and '.join(TAG)}")
    kind = KEYS["id"].kind
    try:
        number = kind.take(tag.get("id"))
    except InvalidValueError as error:
        raise RefusedError(WRONG_VALUE, f"{where}: vlan.id: {error}; give {kind.describe()}") from None
    text = f"{end.lower} {tag.get('protocol')} {number}"
    # Not a name that people give, as ens3.7 is.
    name = f"vlan{number}-{blake2b(text.encode(errors='replace'), digest_size=3).hexdigest()}"
    return _end(name, {**tag, "kind": "vlan", "lower": str(end.lower)}, f"{where}: vlan")


def _owner(where: str, owner: object) -> Mapping[str, str]:
    if not isinstance(owner, Mapping):
        raise RefusedError(WRONG_VALUE, f"{where}: owner is no object; give one with {' and '.join(OWNERS[1:])}")
    if unknown := owner.keys() - set(OWNERS):
        key = min(unknown)
        raise RefusedError(UNKNOWN_KEY, f"{where}: owner.{key}: no such key; there are {', '.join(OWNERS)}")
    return {key: _text(where, key, owner.get(key, "")) for key in OWNERS}


def _text(where: str, key: str, value: object) -> str:
    if key == "pod" and value == "":
        return ""
    try:
        text = plain(value)
    except InvalidValueError as error:
        raise RefusedError(WRONG_VALUE, f"{where}: owner.{key}: {error}; give its name") from None
    if len(text) > LONGEST:
        raise RefusedError(OUT_OF_LIMITS, f"{where}: owner.{key} has {len(text)} characters; {LONGEST} are the most")
    return text


def laid_under(base: Merged, attachments: Attachments, macs: Mapping[str, str] = MappingProxyType({})) -> Merged:
    """Return the links of files and etcd with those attachments that fit beside them; of the others, why they do not.

    Where a VLAN that attachments share is declared, it is that one. `macs` has the MACs of masters by all their words:
    files name them as people do, and failoverd-cni by their MACs.
    """
    files = base.declared
    named = _spelled(files, macs)
    attachments = {name: _as_spelled(one, named, macs) for name, one in attachments.items()}
    declared = {(end.lower, end.options): end.name for end in files.values() if end.namespace == OWN}
    found: dict[str, tuple[End, ...]] = {}
    shadowed = dict(base.shadowed)
    for name, one in attachments.items():
        end = one.end
        if name in files:
            shadowed[name] = end.source
            continue
        if one.is_pair:
            continue
        if one.shared is not None:
            below = declared.get((one.shared.lower, one.shared.options), one.shared.name)
            end = replace(end, lower=DeviceRef("link", below))
            if below == one.shared.name and below not in files:
                # In the place of its first user: the one that was there before is not the one that contradicts.
                found[below] = (replace(one.shared, source="shared by pods", owner=_together(found, below, end)),)
        found[name] = (end,)
    remarks = dict(base.remarks)
    while wrong := contradicting(files, found):
        for name, text in wrong.items():
            since = attachments[name].since if name in attachments else 0.0
            remarks[name] = Remark(LinkState.CONFLICT, CONTRADICTS, text, since, found.pop(name)[0].source)
    ends = {**files, **{end.name: end for ends in found.values() for end in ends}}
    return Merged(MappingProxyType(ends), remarks, shadowed)


def _spelled(files: Mapping[str, End], macs: Mapping[str, str]) -> Mapping[str, DeviceRef]:
    """Return by its MAC how the links of files name a master that they stand on."""
    refs = [end.lower for end in files.values() if end.lower is not None and end.lower.by == "master"]
    return {macs[ref.value]: ref for ref in reversed(refs) if ref.value in macs}


def _as_spelled(one: Attachment, named: Mapping[str, DeviceRef], macs: Mapping[str, str]) -> Attachment:
    """Return an attachment whose master is named as in files."""
    ref = named.get(macs.get(one.master, one.master))
    if ref is None:
        return one
    if one.shared is not None:
        return replace(one, shared=replace(one.shared, lower=ref))
    return replace(one, end=replace(one.end, lower=ref))


def _together(found: Mapping[str, tuple[End, ...]], name: str, user: End) -> str:
    """Return the owners of a shared VLAN, with one more."""
    return ", ".join([*(end.owner for end in found.get(name, ())), user.owner])


def shown(rows: Sequence[LinkStatus], attachments: Attachments) -> list[LinkStatus]:
    """Return the status of each end, also of attachments that nothing has judged yet."""
    by_name = {row.name: row for row in rows}
    for name, one in attachments.items():
        if name not in by_name:
            by_name[name] = status_of(name, one, LinkState.MAKING, "it has not been looked at yet", one.since)
    return [row for _, row in sorted(by_name.items())]


def status_of(name: str, one: Attachment, state: LinkState, detail: str, since: float) -> LinkStatus:
    """Return the status of an attachment that the links engine has none of. `since` is in seconds since the epoch."""
    end = one.end
    return LinkStatus(
        name,
        end.kind,
        end.device,
        str(end.namespace),
        state,
        detail=detail,
        since=since,
        lower=str(end.lower or ""),
        source=end.source,
        owner=end.owner,
        network=end.network,
    )


def pods_on(attachments: Attachments, masters: Collection[str]) -> list[str]:
    """Return the pods, each with its network, that have a master or something on it; it may go by several words."""
    return sorted({one.pod for one in attachments.values() if one.master in masters})


def clash(name: str, attachments: Attachments, masters: Collection[str], *, is_pair: bool) -> str:
    """Return why nothing more can be attached to a master, or "". It goes by several words.

    A pod that has the master itself has it alone; `is_pair` says whether that is what `name` wants.
    """
    others = {other: one for other, one in attachments.items() if other != name and one.master in masters}
    if having := [one.pod for one in others.values() if one.is_pair]:
        return f"it is in the pod {having[0]}; one pod at a time has it"
    if is_pair and others:
        return f"pods are attached to it: {', '.join(pods_on(others, masters))}; remove these pods first"
    return ""
