"""What contradicts each other across declared ends.

What another declaration can still mend is none: a peer or a lower link that is not declared yet, a peer that names
another end. The link waits then, and says for what.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import islice

from failoverd.config.kinds import show
from failoverd.config.links.ends import says
from failoverd.kinds import Vlan
from failoverd.model.declared import Declared, DeviceRef, End, NamespaceRef

MOST = 1024
"""Most links; a veth whose peer is a table is one."""
TOO_MANY = f"there are more than {MOST} links; remove some"
HIGHEST = 8
"""Most devices upon each other (MAX_NEST_DEV, linux/netdevice.h)."""


Contradiction = tuple[str, str, str, tuple[str, ...]]
"""The name of an end, a key of it, what is wrong, and the names of the other ends without which nothing would be."""


def contradictions(ends: Declared) -> Iterator[Contradiction]:
    """Yield what contradicts each other, laid to the end that stands later in `ends`."""
    if (most := next(islice(written(ends), MOST, None), None)) is not None:
        yield most, "", TOO_MANY, ()
        return
    claims: dict[Hashable, End] = {}
    for name, end in ends.items():
        for key, claim, text in _claims(end):
            first = claims.setdefault(claim, end)
            if first is not end:
                yield name, key, f"{text} {_place(first)} already; change one of them", (first.name,)
        yield from _of_kinds(end, ends)
    yield from _heights(ends)


def written(ends: Declared) -> Iterator[str]:
    """Yield the links' names: those of all ends but the ones that are tables of others."""
    return (name for name, end in ends.items() if not (name.endswith(".peer") and end.peer == name[:-5]))


def _claims(end: End) -> Iterator[tuple[str, Hashable, str]]:
    """Yield what only one end may have: the key, what is claimed, and half a sentence for another that claims it."""
    place = (end.namespace.by, end.namespace.value)
    yield "device", ("device", place, end.device), f"{show(end.device)} in {_shown(end.namespace)} is"
    for port in end.ports:
        yield "ports", ("port", port, place if port.by == "device" else ()), f"{_shown(port)} is a port of"
    if isinstance(end.options, Vlan):
        yield "id", ("vlan", end.lower, end.options), f"VLAN {end.options.id} of {_shown(end.lower)} is"


def _of_kinds(end: End, ends: Declared) -> Iterator[Contradiction]:
    """Check what other ends are that this one needs as something."""
    peer = ends.get(end.peer)
    if peer and peer.kind != "veth":
        yield end.name, "peer", f"{_place(peer)} is {says(peer.kind)}; name the other end of this veth", (peer.name,)
    for port in end.ports:
        found = ends.get(port.value) if port.by == "link" else None
        if found and found.kind == end.kind:
            text = f"{_place(found)} is {says(end.kind)}, too, and none can be in another; remove it"
            yield end.name, "ports", text, (found.name,)


def _heights(ends: Declared) -> Iterator[Contradiction]:
    """Yield the ends that stand on too many others, and of each loop one that stands on itself."""
    stands_on = {name: _stands_on(end) for name, end in ends.items()}
    heights = dict.fromkeys(ends, 0)
    for _ in range(HIGHEST + 1):
        heights = {name: 1 + max((heights.get(on, 1) for on in stands_on[name]), default=0) for name in ends}
    seen: set[str] = set()
    for name in ends:
        way: dict[str, None] = {}
        while heights.get(name, 1) > HIGHEST and name not in seen:
            seen.add(name)
            way[name] = None
            key, below = _highest_below(stands_on[name], heights)
            if heights.get(below, 1) <= HIGHEST:
                text = f"it is on more than {HIGHEST - 1} devices on each other, which the kernel refuses"
                yield name, key, text, tuple(_chain(below, stands_on, heights))
            elif below in way:
                loop = [*way, below][list(way).index(below) :]
                told = " on ".join(loop if len(loop) <= HIGHEST else [*loop[:HIGHEST], "...", below])
                yield name, key, f"it would stand on itself ({told}); remove one of these", tuple(loop[:-1])
            name = below


def _highest_below(stands_on: Mapping[str, str], heights: Mapping[str, int]) -> tuple[str, str]:
    """Return the highest of what an end stands on, after the key that names it."""
    _, key, below = max((heights.get(on, 1), key, on) for on, key in stands_on.items())
    return key, below


def _chain(name: str, stands_on: Mapping[str, Mapping[str, str]], heights: Mapping[str, int]) -> Iterator[str]:
    """Yield an end and what makes it as high as it is, down to what stands on nothing."""
    while name in stands_on:
        yield name
        if not stands_on[name]:
            return
        _, name = _highest_below(stands_on[name], heights)


def _stands_on(end: End) -> dict[str, str]:
    """Return the links and other devices that an end stands on, each with the key that names it."""
    lower = {_stood_on(end.lower): "lower"} if end.lower else {}
    return lower | {_stood_on(port): "ports" for port in end.ports}


def _stood_on(ref: DeviceRef) -> str:
    """Return the name of a link, or a text that is no name of a link."""
    return ref.value if ref.by == "link" else str(ref)


def _shown(ref: NamespaceRef | DeviceRef | None) -> str:
    """Return a reference in one line, whatever characters its name has."""
    text = str(ref)
    return text if text.isascii() and text.isprintable() and len(text) <= 60 else show(text)


def _place(end: End) -> str:
    return f"[link.{end.name}] ({end.source})"
