"""The results of pairing, kept MAC by MAC so that one MAC can be judged anew without the others."""

from __future__ import annotations

from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.model.pairs import Judgement, Pair


@dataclass(slots=True)
class Pairings:
    """The results of failoverd.policy.pairing. Only failoverd.core.matching writes it."""

    pairs: dict[str, Pair] = field(default_factory=dict)
    """By permanent MAC."""
    members: dict[int, str] = field(default_factory=dict)
    """The MAC of the pair a device is in, by its ifindex: its paravirtual NIC, its VF or its master."""
    refused_nics: dict[str, int] = field(default_factory=dict)
    """See Judgements."""
    verdicts: dict[int, Judgement] = field(default_factory=dict)
    """By ifindex. A device that can be in no pair, whatever the others are, has none here; see
    policy.exclusion.excluded.
    """
    judged: dict[str, set[int]] = field(default_factory=dict)
    """The devices that were judged with a MAC."""
    misplaced: frozenset[int] = frozenset()
    """See Judgements."""
    leftovers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """NICs that are in no pair and bear something of failoverd's, by their permanent MAC."""
    strangers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By a pair's MAC, the parent devices of NICs that have this MAC and are not in the pair."""
    deaf: set[str] = field(default_factory=set)
    """MACs whose NICs are left alone because no datapath could join them well."""

    def pair(self, mac: str) -> Pair:
        """Return the pair of this MAC, an empty one if there is none."""
        return self.pairs.get(mac) or Pair(mac)

    def take(self, pair: Pair) -> None:
        """Store this pair, in place of the MAC's former one."""
        self.pairs[pair.mac] = pair
        self.members |= dict.fromkeys({pair.nic, pair.vf, pair.master} - {0}, pair.mac)

    def forget(self, mac: str) -> None:
        """Drop all results for a MAC."""
        pair = self.pairs.pop(mac, None)
        for ifindex in (pair.nic, pair.vf, pair.master) if pair is not None else ():
            if self.members.get(ifindex) == mac:
                del self.members[ifindex]
        for ifindex in self.judged.pop(mac, ()):
            self.verdicts.pop(ifindex, None)
        self.refused_nics.pop(mac, None)
        self.leftovers.pop(mac, None)
        self.strangers.pop(mac, None)
        self.deaf.discard(mac)

    def say(self, mac: str, ifindex: int, judgement: Judgement) -> None:
        """Store the verdict on a device that was judged with this MAC."""
        self.verdicts[ifindex] = judgement
        self.judged.setdefault(mac, set()).add(ifindex)
