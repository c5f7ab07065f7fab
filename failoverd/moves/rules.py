"""Policy rules (ip rule) of a move: which of them concern the master, and which of these go along.

A rule belongs to its namespace and names devices by name. So none is ever taken away from where it was made: at home it
waits for the devices that it names, and leads to a table that is empty, until they are back. The other namespace
gets a copy, and loses that when the master leaves. What was made there by others stays there, too.

A rule that goes along has to mean the same there. Where that is not sure it stays, and is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from failoverd.dataclass import dataclass
from failoverd.kinds import Vrf
from failoverd.model.inet import Rule
from failoverd.model.links import Link
from failoverd.moves.items import Seen

FAMILIES = (2, 10)
FR_ACT_TO_TBL, FR_ACT_GOTO = 1, 2
LOOPBACK = "lo"
"""There is one in each namespace. As the device that a packet came in by it means the machine itself."""
USUAL_TABLES = frozenset({253, 254, 255})
"""default, main and local, which every namespace has for itself (linux/rtnetlink.h, RT_TABLE_*)."""

NO_DEVICE = frozenset({0, 1})
"""Of a route that drops packets: the loopback device in IPv6."""

Table = tuple[int, int]
"""A family and a number: the families' tables have nothing in common."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """A rule that concerns the master or what stands on it."""

    rule: Rule
    device: str
    """The first of the devices that it concerns."""
    why: str = ""
    """Why it does not go along, in words; "" for one that does."""


def asked_tables(*places: Seen) -> frozenset[Table]:
    """Return the tables that rules lead to, or that VRFs have, and that are not in every namespace. The rule of VRFs
    leads to 0, which is the table of whatever VRF a packet is in."""
    rules = [rule for seen in places for rule in seen.rules]
    tables = {(rule.family, rule.table) for rule in rules if rule.action == FR_ACT_TO_TBL}
    vrfs = [link.info for seen in places for link in seen.links.values() if isinstance(link.info, Vrf)]
    tables |= {(family, vrf.table) for vrf in vrfs for family in FAMILIES}
    return frozenset(table for table in tables if table[1] and table[1] not in USUAL_TABLES)


def users_of(vrf: Vrf, seen: Seen) -> frozenset[int]:
    """Return who has routes in the table of a VRF, as in Seen.users."""
    return frozenset(user for family in FAMILIES for user in seen.users.get((family, vrf.table), ()))


def concerned_rules(tree: Iterable[Link], seen: Seen, target: Seen) -> Iterator[Concerned]:
    """Yield the rules that concern the master and what stands on it, in their order. What is in the other namespace
    already is none of them."""
    names = {link.ifindex: link.name for link in tree}
    there = set(target.rules)
    for rule in seen.rules:
        device = _device(rule, names, seen)
        if device and rule not in there:
            yield Concerned(rule, device, _obstacle(rule, names, seen, target))


def copied(tree: Iterable[Link], seen: Seen, target: Seen) -> tuple[Rule, ...]:
    """Return the rules that go along."""
    return tuple(one.rule for one in concerned_rules(tree, seen, target) if not one.why)


def _device(rule: Rule, names: dict[int, str], seen: Seen) -> str:
    """Return the device that a rule concerns: one that it names, or one that has a route in its table."""
    users = seen.users.get(_table(rule), frozenset())
    found = [name for name in names.values() if name in rule.names]
    found += [name for ifindex, name in names.items() if ifindex in users]
    return found[0] if found else ""


def _obstacle(rule: Rule, names: dict[int, str], seen: Seen, target: Seen) -> str:
    if strange := sorted(rule.names - {*names.values(), LOOPBACK}):
        return f"it names {', '.join(strange)}, too"
    if rule.action == FR_ACT_GOTO:
        return "it leads to another rule"
    users, users_there = (place.users.get(_table(rule), frozenset()) for place in (seen, target))
    if others := users - names.keys():
        whose = "that lead to no device" if others <= NO_DEVICE else "of others"
        return f"its table {rule.table} has routes {whose}, too"
    if users_there:
        return f"there are routes of others in table {rule.table} there"
    return ""


def _table(rule: Rule) -> Table:
    return rule.family, rule.table if rule.action == FR_ACT_TO_TBL else 0


def missing(rules: Iterable[Rule], seen: Seen) -> list[Rule]:
    """Return those of these rules that a namespace does not have."""
    there = set(seen.rules)
    return [rule for rule in rules if rule not in there]


def present(rules: Iterable[Rule], seen: Seen) -> list[Rule]:
    """Return those of these rules that a namespace has."""
    there = set(seen.rules)
    return [rule for rule in rules if rule in there]


def called(rules: Iterable[Rule]) -> str:
    """Return rules in words: "the policy rules 99, 100"."""
    numbers = sorted({rule.priority for rule in rules})
    return f"the policy rule{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
