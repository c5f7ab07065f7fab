"""Conditions: the things about a carrying pair that are not as they should be, each with a word for programs.

A condition is reported when it begins and when it ends. It has to last for SETTLES first, as a link that comes up and
an MTU that is being set pass through states that mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from failoverd.model.health import Mode
from failoverd.model.links import Link
from failoverd.policy.election import Standing

SETTLES = 1.0
"""Seconds that a condition has to last before it is reported."""


def conditions(
    standing: Standing,
    unlike: Mapping[str, str],
    flaws: str,
    dead: Link | None,
    flapping: str,
    missing: str,
    slow: str,
    half: str,
) -> dict[str, str]:
    """Return the present conditions, each with its description.

    `standing` is by the links alone. `unlike` says why slaves' MTUs do not fit, by their names. `flaws` describes the
    master's faults. `dead` is the slave whose path is dead. `flapping`, `missing`, `slow` and `half` are in words,
    or "".
    """
    mtus = [f"{name}: {words}" for name, words in unlike.items() if words]
    found = {
        "vf-missing": missing,
        "standby-down": standby_down(standing),
        "mtu-mismatch": "; ".join(mtus),
        "speed-mismatch": slow,
        "half-duplex": half,
        "datapath-impaired": flaws,
        "path-dead": f"nothing answers through {dead.name}, and its link is up" if dead is not None else "",
        "flapping": flapping,
    }
    return {word: text for word, text in found.items() if text}


def standby_down(standing: Standing) -> str:
    """Return why the standby could not take over from the VF that carries, or ""."""
    standby = standing.standby
    carries = standing.primary is not None and standing.active == standing.primary.ifindex
    if standby is None or not standing.bad_standby or not carries:
        return ""
    return f"{standby.name} cannot take over: {standing.bad_standby}"


def slower(vf: Link | None, nic: Link | None, modes: Mapping[int, Mode]) -> str:
    """Return that the VF is slower than its standby, or "". A paravirtual NIC has a speed only if its host sets one."""
    if vf is None or nic is None:
        return ""
    its, other = (modes.get(link.ifindex, Mode()).speed for link in (vf, nic))
    return f"{vf.name} has {its} Mb/s, and its standby {nic.name} {other} Mb/s" if 0 < its < other else ""


def half_duplex(slaves: Sequence[Link | None], modes: Mapping[int, Mode]) -> str:
    """Return which slaves are at half duplex, which a virtual switch or a modern wire never is on purpose, or ""."""
    names = [link.name for link in slaves if link is not None and modes.get(link.ifindex, Mode()).half]
    return f"{' and '.join(names)} at half duplex" if names else ""
