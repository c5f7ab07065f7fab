"""The keys that a reload changes, for its log line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from failoverd.config.keys import header, table
from failoverd.config.kinds import show
from failoverd.config.spec import Config
from failoverd.dataclass import dataclass

if TYPE_CHECKING:
    from failoverd.model.residence import Residences


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose value has changed."""

    section: str
    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"[{'.'.join(header(self.section))}] {self.key}: {show(self.old)} -> {show(self.new)}"


def diff(old: Config, new: Config) -> Sequence[Change]:
    """Return the keys whose values differ, in the order of the spec, then those of single masters, then of links.

    A link that is new or gone differs in `enabled` alone.
    """
    changes = []
    for section, keys in table(Config).items():
        for key in keys:
            was, now = (getattr(getattr(config, section), key) for config in (old, new))
            if was != now:
                changes.append(Change(section, key, was, now))
    changes += _of_residences(old.residences, new.residences)
    if old.declared != new.declared:
        from failoverd.config.links.told import differences

        changes += [Change(f"link.{name}", *rest) for name, *rest in differences(old.declared, new.declared)]
    return changes


def _of_residences(old: Residences, new: Residences) -> Iterator[Change]:
    if old == new:
        return
    from failoverd.config.residence import told

    for name in sorted({*old, *new}):
        was, now = told(old.get(name)), told(new.get(name))
        yield from (Change(f"master.{name}", key, was[key], now[key]) for key in was if was[key] != now[key])
