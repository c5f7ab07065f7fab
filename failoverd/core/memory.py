"""What is remembered of pairs beyond the end of failoverd, by their MACs; each change is written to disk as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, Remember, RememberName


@dataclass(slots=True)
class Memory:
    """What is remembered of pairs."""

    joined: set[str] = field(default_factory=set)
    """The MACs that had a pair before, and were not released since."""
    names: dict[str, str] = field(default_factory=dict)
    """The names that their paravirtual NICs had on their own."""

    def recall(self, words: Mapping[str, str], names: Mapping[str, str]) -> None:
        """Take in what an earlier run has stored; "joined" or "released" by MAC."""
        self.joined |= {mac for mac, word in words.items() if word == "joined"}
        self.names |= names

    def join(self, mac: str) -> list[Action]:
        """Remember that there is a pair."""
        self.joined.add(mac)
        return [Remember(mac, "joined")]

    def release(self, mac: str) -> list[Action]:
        """Remember that there shall be none, and forget its name."""
        self.joined.discard(mac)
        forgotten: list[Action] = [RememberName(mac, "")] if self.names.pop(mac, "") else []
        return [Remember(mac, "released"), *forgotten]

    def name(self, mac: str, name: str) -> list[Action]:
        """Remember the name of its paravirtual NIC."""
        self.names[mac] = name
        return [RememberName(mac, name)]
